using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Codec;

/// <summary>
/// Frames to bytes and back, protocol version 2 (1 is the same without hops). Everything is little-endian; headers have a fixed size; bytes shown as
/// "0" must be zero; the payload is whatever follows the last list. The transport gives a frame's length.
/// <code>
/// frame     offset: field
/// open      0: kind=1 u8 | 1: wire type u8 | 2: highest version u16 | 4: layer start u32 | 8: layer end u32
///           12: max KV tokens u32 | 16: resume 0/1 u8 | 17: hop 0/1 u8 | 18: next bytes n u16 | 20: 0 x4
///           then if resume: 24: session id x16 | 40: secret x16 | 56: last received seq u64
///           or if n: 24: next worker's fingerprint x32 | 56: session id x16 | 72: hop secret x16
///           88: layer end u32 | 92: port u16 | 94: host ASCII x (n - 70)                   24, 64 or 24 + n bytes
/// step      0: kind=2 u8 | 1: 0 u8 | 2: padding p u16 | 4: epoch u32 | 8: seq u64 | 16: ack u64
///           24: keep count k u32 | 28: row count r u32 | 32: keep ids u64 x k | row ids u64 x r
///           parent ids u64 x r | flags u8 x r | payload (a multiple of r bytes) | 0 x p    32 + 8k + 17r + payload + p
/// truncate  0: kind=3 u8 | 1: 0 x3 | 4: length u32 | 8: seq u64 | 16: ack u64              24
/// fork      0: kind=4 u8 | 1: 0 x7 | 8: seq u64 | 16: ack u64                              24
/// ping      0: kind=5 u8 | 1: 0 x7 | 8: nonce u64                                          16
/// close     0: kind=6 u8 | 1: 0 x7                                                         8
/// opened    0: kind=129 u8 | 1: 0 u8 | 2: version u16 | 4: 0 x4 | 8: resumed seq u64
///           16: answers seq u64 | 24: session id x16 | 40: secret x16                      56
/// rows      0: kind=130 u8 | 1: 0 x3 | 4: epoch u32 | 8: seq u64 | 16: queue us u32 | 20: compute us u32
///           24: row count r u32 | 28: bitmap bytes d u32 | 32: row ids u64 x r | dropped bitmap x d
///           payload (a multiple of r bytes)                                                32 + 8r + d + payload
/// pong      0: kind=131 u8 | 1: 0 x7 | 8: nonce u64                                        16
/// error     0: kind=132 u8 | 1: session survives 0/1 u8 | 2: code u16 | 4: retry after ms u32
///           8: seq u64 | 16: message bytes m u16 | 18: message UTF-8 x m (at most 1024)    18 + m
/// </code>
/// Reading never trusts a count: each is checked against the frame's own length and <see cref="MaxRows"/> before
/// anything is allocated, so a reader allocates at most the size of the frame it was given.
/// </summary>
public static class FrameCodec
{
    /// <summary>Most rows (and most kept ids) in one frame.</summary>
    public const int MaxRows = 65_536;

    /// <summary>Longest error message in bytes.</summary>
    public const int MaxErrorMessageBytes = 1024;

    /// <summary>Bytes of a session id and of a resume secret.</summary>
    public const int SecretBytes = 16;

    /// <summary>Bytes of a step frame before its lists.</summary>
    public const int StepHeaderBytes = 32;

    /// <summary>Bytes of a step's row without its payload.</summary>
    public const int StepRowBytes = 17;

    internal const int OpenBytes = 24;
    internal const int ResumeBytes = 40;
    internal const int NextBytes = 70;
    internal const int OpenedBytes = 56;
    internal const int RowsHeaderBytes = 32;
    internal const int ErrorHeaderBytes = 18;

    /// <summary>Bytes <paramref name="frame"/> takes on the wire, payload included.</summary>
    public static int Size(ClientFrame frame) => frame switch
    {
        OpenFrame open => OpenBytes + (open.Resume is null ? 0 : ResumeBytes) + NextSize(open.Next),
        StepFrame step => checked(StepHeaderBytes + (8 * step.Keep.Length) + (StepRowBytes * step.Rows.Length) + step.Payload.Length + step.PaddingBytes),
        TruncateFrame or ForkFrame => 24,
        PingFrame => 16,
        CloseFrame => 8,
        _ => throw new ArgumentException($"No wire format for {frame.GetType().Name}.", nameof(frame)),
    };

    /// <inheritdoc cref="Size(ClientFrame)"/>
    public static int Size(WorkerFrame frame) => frame switch
    {
        OpenedFrame => OpenedBytes,
        RowsFrame rows => checked(RowsHeaderBytes + (8 * rows.RowIds.Length) + rows.Dropped.Length + rows.Payload.Length),
        PongFrame => 16,
        ErrorFrame error => ErrorHeaderBytes + MessageBytes(error.Error.Message),
        _ => throw new ArgumentException($"No wire format for {frame.GetType().Name}.", nameof(frame)),
    };

    /// <summary>Writes <paramref name="frame"/> in one contiguous piece and advances the writer by its size.</summary>
    public static void Write(ClientFrame frame, IBufferWriter<byte> writer)
    {
        int size = Size(frame);
        Write(frame, writer.GetSpan(size)[..size]);
        writer.Advance(size);
    }

    /// <inheritdoc cref="Write(ClientFrame, IBufferWriter{byte})"/>
    public static void Write(WorkerFrame frame, IBufferWriter<byte> writer)
    {
        int size = Size(frame);
        Write(frame, writer.GetSpan(size)[..size]);
        writer.Advance(size);
    }

    /// <summary>Writes <paramref name="frame"/> at the start of <paramref name="destination"/>, at least its size, and returns that size.</summary>
    public static int Write(ClientFrame frame, Span<byte> destination)
    {
        var fields = new FieldWriter(destination[..Size(frame)]);
        switch (frame)
        {
            case OpenFrame open:
                fields.U8((byte)FrameKind.Open);
                fields.U8((byte)open.WireType);
                fields.U16(open.Version);
                fields.Count(open.LayerStart);
                fields.Count(open.LayerEnd);
                fields.Count(open.MaxKvTokens);
                fields.U8(open.Resume is null ? (byte)0 : (byte)1);
                fields.U8(open.TakesHop ? (byte)1 : (byte)0);
                fields.U16((ushort)NextSize(open.Next));
                fields.Zero(4);
                if (open.Resume is { } resume)
                {
                    fields.Secret(resume.SessionId.Span);
                    fields.Secret(resume.Secret.Span);
                    fields.U64(resume.LastReceivedSeq);
                }

                if (open.Next is { } next)
                {
                    fields.Bytes(next.Fingerprint.Span);
                    fields.Secret(next.SessionId.Span);
                    fields.Secret(next.Secret.Span);
                    fields.Count(next.LayerEnd);
                    fields.U16((ushort)next.Port);
                    fields.Ascii(next.Host);
                }

                break;
            case StepFrame step:
                fields.U8((byte)FrameKind.Step);
                fields.U8(0);
                fields.U16((ushort)step.PaddingBytes);
                fields.U32(step.Epoch);
                fields.U64(step.Seq);
                fields.U64(step.Ack);
                fields.Count(step.Keep.Length);
                fields.Count(step.Rows.Length);
                fields.U64s(step.Keep.Span);
                foreach (StepRow row in step.Rows.Span)
                {
                    fields.U64(row.Id);
                }

                foreach (StepRow row in step.Rows.Span)
                {
                    fields.U64(row.ParentId);
                }

                foreach (StepRow row in step.Rows.Span)
                {
                    fields.U8((byte)row.Flags);
                }

                fields.Bytes(step.Payload.Span);
                fields.Zero(step.PaddingBytes);
                break;
            case TruncateFrame truncate:
                fields.U8((byte)FrameKind.Truncate);
                fields.Zero(3);
                fields.Count(truncate.Length);
                fields.U64(truncate.Seq);
                fields.U64(truncate.Ack);
                break;
            case ForkFrame fork:
                fields.U8((byte)FrameKind.Fork);
                fields.Zero(7);
                fields.U64(fork.Seq);
                fields.U64(fork.Ack);
                break;
            case PingFrame ping:
                fields.U8((byte)FrameKind.Ping);
                fields.Zero(7);
                fields.U64(ping.Nonce);
                break;
            case CloseFrame:
                fields.U8((byte)FrameKind.Close);
                fields.Zero(7);
                break;
        }

        return fields.Written;
    }

    /// <inheritdoc cref="Write(ClientFrame, Span{byte})"/>
    public static int Write(WorkerFrame frame, Span<byte> destination)
    {
        var fields = new FieldWriter(destination[..Size(frame)]);
        switch (frame)
        {
            case OpenedFrame opened:
                fields.U8((byte)FrameKind.Opened);
                fields.Zero(1);
                fields.U16(opened.Version);
                fields.Zero(4);
                fields.U64(opened.ResumedSeq);
                fields.U64(opened.AnswersSeq);
                fields.Secret(opened.SessionId.Span);
                fields.Secret(opened.Secret.Span);
                break;
            case RowsFrame rows:
                fields.U8((byte)FrameKind.Rows);
                fields.Zero(3);
                fields.U32(rows.Epoch);
                fields.U64(rows.Seq);
                fields.U32(rows.QueueMicros);
                fields.U32(rows.ComputeMicros);
                fields.Count(rows.RowIds.Length);
                fields.Count(rows.Dropped.Length);
                fields.U64s(rows.RowIds.Span);
                fields.Bytes(rows.Dropped.Span);
                fields.Bytes(rows.Payload.Span);
                break;
            case PongFrame pong:
                fields.U8((byte)FrameKind.Pong);
                fields.Zero(7);
                fields.U64(pong.Nonce);
                break;
            case ErrorFrame { Error: var error }:
                fields.U8((byte)FrameKind.Error);
                fields.U8(error.SessionSurvives ? (byte)1 : (byte)0);
                fields.U16((ushort)error.Code);
                fields.Count(error.RetryAfterMs);
                fields.U64(error.Seq);
                fields.Message(error.Message);
                break;
        }

        return fields.Written;
    }

    /// <summary>
    /// Reads a frame from a client. On true, <paramref name="frame"/> is set; its payload is a slice of <paramref name="bytes"/>.
    /// On false, <paramref name="error"/> says which field of which frame is wrong, with sizes and positions only.
    /// </summary>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, out ClientFrame? frame, out WireError? error)
    {
        var reader = new FrameReader(bytes);
        frame = reader.ReadClient();
        error = reader.Error;
        return frame is not null;
    }

    /// <inheritdoc cref="TryRead(ReadOnlyMemory{byte}, out ClientFrame?, out WireError?)"/>
    /// <remarks>The same, for a frame from a worker, which is trusted no more than a client is.</remarks>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, out WorkerFrame? frame, out WireError? error)
    {
        var reader = new FrameReader(bytes);
        frame = reader.ReadWorker();
        error = reader.Error;
        return frame is not null;
    }

    private static int NextSize(NextHop? next) => next is null ? 0 : NextBytes + next.Host.Length;

    private static int MessageBytes(string message) => Encoding.UTF8.GetByteCount(Clip(message));

    // 3 bytes is the most one UTF-16 unit takes, so a clipped message always fits.
    private static ReadOnlySpan<char> Clip(string message) => message.AsSpan(0, Math.Min(message.Length, MaxErrorMessageBytes / 3));

    /// <summary>Little-endian fields, one after another, into a span of exactly the frame's size.</summary>
    private ref struct FieldWriter(Span<byte> destination)
    {
        private readonly Span<byte> _destination = destination;

        public int Written { get; private set; }

        public void U8(byte value) => Next(1)[0] = value;

        public void U16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Next(2), value);

        public void U32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Next(4), value);

        public void U64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Next(8), value);

        public void Count(int value)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            U32((uint)value);
        }

        public void U64s(ReadOnlySpan<ulong> values)
        {
            foreach (ulong value in values)
            {
                U64(value);
            }
        }

        public void Secret(ReadOnlySpan<byte> value)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(value.Length, SecretBytes);
            Bytes(value);
        }

        public void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Next(value.Length));

        public void Ascii(string text) => Encoding.ASCII.GetBytes(text, Next(text.Length));

        public void Zero(int count) => Next(count).Clear();

        public void Message(string message)
        {
            ReadOnlySpan<char> clipped = Clip(message);
            int bytes = Encoding.UTF8.GetByteCount(clipped);
            U16((ushort)bytes);
            Encoding.UTF8.GetBytes(clipped, Next(bytes));
        }

        private Span<byte> Next(int count)
        {
            Span<byte> next = _destination.Slice(Written, count);
            Written += count;
            return next;
        }
    }
}
