namespace Cleave.Inference.Sessions;

/// <summary>Hidden states leaving the middle, and what the trip took.</summary>
/// <param name="RowIds">Rows that came back, in the step's order.</param>
/// <param name="Hidden">[rows, hiddenSize].</param>
/// <param name="ComputeMs">Time the worker computed.</param>
/// <param name="QueueMs">Time the step waited in the worker.</param>
/// <param name="CodecMs">Time this side spent encoding and decoding the step.</param>
/// <param name="TripMs">From submission to arrival.</param>
public readonly record struct MiddleReply(
    ReadOnlyMemory<ulong> RowIds, ReadOnlyMemory<float> Hidden, double ComputeMs, double QueueMs, double CodecMs, double TripMs);
