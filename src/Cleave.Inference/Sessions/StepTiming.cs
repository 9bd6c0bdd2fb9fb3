namespace Cleave.Inference.Sessions;

/// <summary>What one step took, in milliseconds.</summary>
/// <param name="Rows">Rows sent.</param>
/// <param name="RowsAhead">Rows of earlier steps still unanswered when it was sent.</param>
/// <param name="HeadMs">Head compute.</param>
/// <param name="WorkerMs">Worker compute.</param>
/// <param name="QueueMs">Waiting in the worker.</param>
/// <param name="CodecMs">Encoding and decoding.</param>
/// <param name="TripMs">From submission to arrival, worker and queue included.</param>
public readonly record struct StepTiming(int Rows, int RowsAhead, double HeadMs, double WorkerMs, double QueueMs, double CodecMs, double TripMs)
{
    /// <summary>What the trip took beyond the worker: the link, both ways.</summary>
    public double LinkMs => Math.Max(0, TripMs - WorkerMs - QueueMs);
}
