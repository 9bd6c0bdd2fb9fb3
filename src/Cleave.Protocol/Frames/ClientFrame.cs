namespace Cleave.Protocol.Frames;

/// <summary>A frame from the trusted side to the worker.</summary>
public abstract record ClientFrame;

/// <summary>First frame of a stream: a new session, or the resumption of one.</summary>
/// <param name="Version">Highest protocol version the client speaks.</param>
/// <param name="LayerStart">First layer the worker is to run.</param>
/// <param name="LayerEnd">One past the last.</param>
/// <param name="WireType">Encoding of activations both ways.</param>
/// <param name="MaxKvTokens">Most rows the session will hold at once (committed and live).</param>
/// <param name="Resume">Set to take over a session whose stream was lost.</param>
public sealed record OpenFrame(ushort Version, int LayerStart, int LayerEnd, WireType WireType, int MaxKvTokens, ResumeTicket? Resume = null) : ClientFrame
{
    /// <summary>Another worker will bring the session's rows, with a <see cref="HopTicket"/>. New sessions only, from version 2 on.</summary>
    public bool TakesHop { get; init; }

    /// <summary>The worker to pass the rows on to; null when they go back from here. New sessions only, from version 2 on.</summary>
    public NextHop? Next { get; init; }
}

/// <summary>Names a session to resume and proves the right to it.</summary>
/// <param name="SessionId">16 bytes.</param>
/// <param name="Secret">16 bytes.</param>
/// <param name="LastReceivedSeq">Replies after this one are sent again.</param>
public sealed record ResumeTicket(ReadOnlyMemory<byte> SessionId, ReadOnlyMemory<byte> Secret, ulong LastReceivedSeq)
{
    /// <summary>In place of a seq: no reply is wanted again.</summary>
    public const ulong NothingMissed = ulong.MaxValue;
}

/// <summary>Rows to run. Applied in order: keep first, then the rows are appended and computed.</summary>
/// <param name="Seq">1, 2, 3, ...; a seq already applied is answered from the buffer.</param>
/// <param name="Epoch">Raised by the client at a misprediction; echoed.</param>
/// <param name="Ack">Replies up to and including this seq may be forgotten.</param>
/// <param name="Keep">A chain of row ids to commit, oldest first; empty changes nothing.</param>
/// <param name="Rows">Rows to append.</param>
/// <param name="Payload">Rows x hidden size in the agreed wire type.</param>
public sealed record StepFrame(
    ulong Seq, uint Epoch, ulong Ack, ReadOnlyMemory<ulong> Keep, ReadOnlyMemory<StepRow> Rows, ReadOnlyMemory<byte> Payload) : ClientFrame
{
    /// <summary>Zero bytes after the payload, at most 65,535, so that frames of fixed-shape mode have one size.</summary>
    public int PaddingBytes { get; init; }
}

/// <summary>Forgets everything past <paramref name="Length"/> committed positions, and all live rows. Answered by an empty rows frame.</summary>
public sealed record TruncateFrame(ulong Seq, ulong Ack, int Length) : ClientFrame;

/// <summary>Opens a new session of the same tenant that starts with this one's committed prefix. Answered by an opened frame for the copy.</summary>
public sealed record ForkFrame(ulong Seq, ulong Ack) : ClientFrame;

/// <summary>Answered at once by a pong with the same nonce.</summary>
public sealed record PingFrame(ulong Nonce) : ClientFrame;

/// <summary>Ends the session and frees what it held.</summary>
public sealed record CloseFrame : ClientFrame;
