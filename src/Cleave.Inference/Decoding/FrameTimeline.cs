namespace Cleave.Inference.Decoding;

/// <summary>
/// When the frames in flight will be answered and the worker idle, as far as <see cref="StepCosts"/> can tell. Times are
/// milliseconds on the caller's clock.
/// </summary>
internal sealed class FrameTimeline(StepCosts costs)
{
    private readonly Queue<double> _due = new();
    private double _workerIdleAt;
    private double _lastDue;

    /// <summary>When the next reply is due; infinity when none is.</summary>
    public double NextReplyAt => _due.TryPeek(out double due) ? due : double.PositiveInfinity;

    /// <summary>When the worker will have done everything sent.</summary>
    public double WorkerIdleAt => _workerIdleAt;

    /// <summary>When the answer to a frame sent at <paramref name="now"/> would come.</summary>
    public double ReplyAt(double now, int rows) => DoneAt(now, rows) + (0.5 * costs.Link.BaseMs) + (0.5 * costs.Link.RowMs * rows);

    /// <summary>When the worker would have done a frame sent at <paramref name="now"/>.</summary>
    public double DoneAt(double now, int rows) =>
        Math.Max(now + (0.5 * costs.Link.BaseMs) + (0.5 * costs.Link.RowMs * rows), _workerIdleAt) + costs.Worker.Of(rows);

    /// <summary>Notes a frame.</summary>
    public void Sent(double now, int rows)
    {
        double due = Math.Max(ReplyAt(now, rows), _lastDue);
        _workerIdleAt = DoneAt(now, rows);
        _due.Enqueue(due);
        _lastDue = due;
    }

    /// <summary>Notes a reply.</summary>
    public void Received() => _due.TryDequeue(out _);

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        _due.Clear();
        (_workerIdleAt, _lastDue) = (0, 0);
    }
}
