using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// The threads of one device: the caller plus threads - 1 workers. A job's items are claimed one by one from a shared
/// counter, so a worker that the system has taken off its core delays nothing but the item it holds. Idle workers spin for
/// tens of microseconds (the gap between two operations of a step), then park.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    private const double SpinMicroseconds = 60;
    private static readonly long SpinTicks = (long)(SpinMicroseconds * Stopwatch.Frequency / 1e6);

    private readonly Lock _running = new();
    private readonly object _gate = new();
    private readonly Thread[] _threads;
    private PaddedCounter _unclaimed;
    private PaddedCounter _finished;
    private volatile ParallelJob? _job;
    private volatile bool _stopping;
    private volatile int _parked;
    private volatile ExceptionDispatchInfo? _failure;

    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Size = threads;
        _threads = new Thread[threads - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int worker = i + 1;
            _threads[i] = new Thread(() => Work(worker)) { IsBackground = true, Name = $"cleave-cpu-{worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that run items, the caller included.</summary>
    public int Size { get; }

    /// <summary>Runs items 0..<paramref name="items"/>-1 and returns when all are done.</summary>
    public void Run(ParallelJob job, int items)
    {
        if (Size == 1 || items <= 1)
        {
            for (int item = 0; item < items; item++)
            {
                job.Run(item, 0);
            }

            return;
        }

        lock (_running)
        {
            _job = job;
            Volatile.Write(ref _finished.Value, 0);

            // From here on a worker may claim an item: the job and the counter above are visible to it by then.
            Interlocked.Exchange(ref _unclaimed.Value, items);
            if (_parked > 0)
            {
                lock (_gate)
                {
                    Monitor.PulseAll(_gate);
                }
            }

            Claim(0);
            var spinner = default(SpinWait);
            while (Volatile.Read(ref _finished.Value) < items)
            {
                // Yields after a few rounds: the worker that holds the last item may be waiting for this core.
                spinner.SpinOnce(sleep1Threshold: -1);
            }

            if (_failure is { } failure)
            {
                _failure = null;
                failure.Throw();
            }
        }
    }

    public void Dispose()
    {
        _stopping = true;
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }
    }

    private void Work(int worker)
    {
        while (!_stopping)
        {
            if (Volatile.Read(ref _unclaimed.Value) > 0)
            {
                Claim(worker);
                continue;
            }

            long start = Stopwatch.GetTimestamp();
            while (Volatile.Read(ref _unclaimed.Value) <= 0 && !_stopping)
            {
                if (Stopwatch.GetTimestamp() - start > SpinTicks)
                {
                    Park();
                    break;
                }

                Thread.SpinWait(4);
            }
        }
    }

    private void Park()
    {
        lock (_gate)
        {
            _parked++;
            Interlocked.MemoryBarrier();

            // Run publishes items, then looks at _parked; here the other way round: one of the two sees the other.
            while (Volatile.Read(ref _unclaimed.Value) <= 0 && !_stopping)
            {
                Monitor.Wait(_gate);
            }

            _parked--;
        }
    }

    private void Claim(int worker)
    {
        // A claim below zero takes nothing; a late one can only take an item of the job that is published now.
        for (int item = Interlocked.Decrement(ref _unclaimed.Value); item >= 0; item = Interlocked.Decrement(ref _unclaimed.Value))
        {
            try
            {
                _job!.Run(item, worker);
            }
            catch (Exception exception)
            {
                _failure = ExceptionDispatchInfo.Capture(exception);
            }

            Interlocked.Increment(ref _finished.Value);
        }
    }

    /// <summary>A counter alone on its cache lines.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 256)]
    private struct PaddedCounter
    {
        [System.Runtime.InteropServices.FieldOffset(128)]
        public int Value;
    }
}
