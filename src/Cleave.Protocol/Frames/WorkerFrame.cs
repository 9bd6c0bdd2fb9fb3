namespace Cleave.Protocol.Frames;

/// <summary>A frame from the worker to the trusted side.</summary>
public abstract record WorkerFrame;

/// <summary>The session is open. Id and secret have 128 random bits each and resume it.</summary>
/// <param name="Version">Protocol version in force.</param>
/// <param name="SessionId">16 bytes.</param>
/// <param name="Secret">16 bytes.</param>
/// <param name="ResumedSeq">Last seq the worker has taken, applied or queued (0 for a new session): its reply comes by itself, frames after it are to be sent again.</param>
/// <param name="AnswersSeq">0 for an open frame, otherwise the seq of the fork frame it answers.</param>
public sealed record OpenedFrame(
    ushort Version, ReadOnlyMemory<byte> SessionId, ReadOnlyMemory<byte> Secret, ulong ResumedSeq, ulong AnswersSeq = 0) : WorkerFrame;

/// <summary>The answer to a step (or truncate).</summary>
/// <param name="Seq">The step's seq.</param>
/// <param name="Epoch">The step's epoch.</param>
/// <param name="RowIds">Returned rows, in the step's order: those flagged Return that were not dropped.</param>
/// <param name="Dropped">Bit i (byte i/8, bit i%8) is set when row i of the step was dropped because its parent was dead; empty when none was.</param>
/// <param name="QueueMicros">Time the step waited in the worker.</param>
/// <param name="ComputeMicros">Time the worker computed it.</param>
/// <param name="Payload">RowIds.Length x hidden size in the agreed wire type.</param>
public sealed record RowsFrame(
    ulong Seq, uint Epoch, ReadOnlyMemory<ulong> RowIds, ReadOnlyMemory<byte> Dropped, uint QueueMicros, uint ComputeMicros, ReadOnlyMemory<byte> Payload) : WorkerFrame;

/// <summary>Answers a ping.</summary>
public sealed record PongFrame(ulong Nonce) : WorkerFrame;

/// <summary>A refusal.</summary>
public sealed record ErrorFrame(WireError Error) : WorkerFrame;
