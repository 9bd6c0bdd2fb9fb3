namespace Cleave.Inference.Sessions;

/// <summary>One session's rows in a <see cref="SharedPass{TJob}"/>.</summary>
internal abstract class PassJob
{
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _startedAt;

    /// <summary>Rows to run.</summary>
    public abstract int RowCount { get; }

    /// <summary>True when it shares its pass with nobody.</summary>
    public virtual bool RunsAlone => false;

    /// <summary>The session's clock.</summary>
    public required TimeProvider Clock { get; init; }

    /// <summary>Time of its pass; waiting is not in it.</summary>
    public double ElapsedMs { get; private set; }

    /// <summary>Why this job's rows were not run, where the part refuses them.</summary>
    public Exception? Refusal { get; set; }

    /// <summary>Ends with the job.</summary>
    public Task Completion => _completion.Task;

    /// <summary>Its pass begins.</summary>
    public void Begin() => _startedAt = Clock.GetTimestamp();

    /// <summary>Its pass has ended.</summary>
    public void End(Exception? fault)
    {
        ElapsedMs = Clock.GetElapsedTime(_startedAt).TotalMilliseconds;
        if ((Refusal ?? fault) is { } problem)
        {
            _completion.SetException(problem);
        }
        else
        {
            _completion.SetResult();
        }
    }

    /// <summary>It is not to run any more.</summary>
    public void Cancel(CancellationToken cancellationToken) => _completion.TrySetCanceled(cancellationToken);
}
