using System.Diagnostics;

namespace Cleave.Inference.Sessions;

/// <summary>
/// A part of the model that all sessions of a process share, one pass at a time. Sessions whose rows wait while a pass runs go through the
/// next one together: reading the weights is most of a pass, and a row's bits do not depend on who shares it. Alone, a session's pass
/// runs at once and on its own thread.
/// </summary>
/// <param name="gate">The device the part runs on.</param>
/// <param name="gathers">True where a pass costs the same for one row or many: with other sessions about, it then waits a moment for theirs.</param>
/// <param name="run">Runs the rows of jobs; a job the part refuses gets a <see cref="PassJob.Refusal"/>, the others run.</param>
internal sealed class SharedPass<TJob>(ComputeGate gate, bool gathers, Action<IReadOnlyList<TJob>> run)
    where TJob : PassJob
{
    private const int MostRows = 512;

    // Answers of one pass of a worker come within a fraction of a millisecond, one after another.
    private static readonly TimeSpan s_mostGathering = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_quiet = TimeSpan.FromMilliseconds(0.15);

    private readonly Lock _lock = new();
    private readonly List<TJob> _waiting = [];
    private readonly List<TJob> _running = [];
    private bool _led;

    // Sessions that lately went together.
    private int _crowd;

    /// <summary>Runs a job, perhaps with others. Once it has begun it is not cancelled: its memory is in use.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before it began; nothing was done.</exception>
    public ValueTask RunAsync(TJob job, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        bool leads;
        lock (_lock)
        {
            _waiting.Add(job);
            leads = !_led;
            _led = true;
        }

        if (leads)
        {
            // Fails never: what goes wrong is the jobs' to tell.
            _ = LeadAsync();
        }

        return job.Completion.IsCompleted ? new ValueTask(job.Completion) : WaitAsync(job, cancellationToken);
    }

    private async ValueTask WaitAsync(TJob job, CancellationToken cancellationToken)
    {
        await using CancellationTokenRegistration registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (!_waiting.Remove(job))
                {
                    return;
                }
            }

            job.Cancel(cancellationToken);
        });
        await job.Completion.ConfigureAwait(ConfigureAwaitOptions.None);
    }

    /// <summary>One pass; whoever has come meanwhile is another thread's to lead, so that nobody works for strangers after his own turn.</summary>
    private async Task LeadAsync()
    {
        if (gathers && _crowd > 1)
        {
            await GatherAsync().ConfigureAwait(false);
        }

        using (await gate.EnterAsync(CancellationToken.None).ConfigureAwait(false))
        {
            Take();
            _crowd = Math.Max(_running.Count, _crowd - 1);
            if (_running.Count > 0)
            {
                Run();
            }
        }

        lock (_lock)
        {
            _led = _waiting.Count > 0;
            if (!_led)
            {
                return;
            }
        }

        _ = Task.Run(LeadAsync);
    }

    /// <summary>Until all that are about are here, or none has come for a while.</summary>
    private async Task GatherAsync()
    {
        long started = Stopwatch.GetTimestamp();
        long cameAt = started;
        int seen = 0;
        while (true)
        {
            int here;
            lock (_lock)
            {
                here = _waiting.Count;
            }

            long now = Stopwatch.GetTimestamp();
            if (here != seen)
            {
                (seen, cameAt) = (here, now);
            }

            if (here >= _crowd || Stopwatch.GetElapsedTime(cameAt, now) > s_quiet || Stopwatch.GetElapsedTime(started, now) > s_mostGathering)
            {
                return;
            }

            await Task.Yield();
        }
    }

    private void Take()
    {
        _running.Clear();
        lock (_lock)
        {
            int rows = 0;
            foreach (TJob job in _waiting)
            {
                rows += job.RowCount;
                if (_running.Count > 0 && (rows > MostRows || job.RunsAlone || _running[0].RunsAlone))
                {
                    break;
                }

                _running.Add(job);
            }

            _waiting.RemoveRange(0, _running.Count);
        }
    }

    private void Run()
    {
        Exception? fault = null;
        foreach (TJob job in _running)
        {
            job.Begin();
        }

        try
        {
            run(_running);
        }
        catch (Exception exception)
        {
            fault = exception;
        }

        foreach (TJob job in _running)
        {
            job.End(fault);
        }
    }
}
