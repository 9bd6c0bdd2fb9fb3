using System.Buffers.Binary;
using System.Text;
using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Codec;

/// <summary>
/// Reads one frame, treating it as hostile: fixed sizes first, then every count against what is left of the frame,
/// then contents; lists are allocated only after their bytes are known to be there. The table is above
/// <see cref="FrameCodec"/>.
/// </summary>
internal ref partial struct FrameReader(ReadOnlyMemory<byte> bytes)
{
    private const RowFlags KnownFlags = RowFlags.Return | RowFlags.Tap | RowFlags.Dummy;

    // Replacement is off: bytes that are not UTF-8 are refused, not repaired.
    private static readonly UTF8Encoding s_strictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly ReadOnlyMemory<byte> _bytes = bytes;
    private int _position;

    /// <summary>Set when a read returned null.</summary>
    public WireError? Error { get; private set; }

    /// <summary>A client's frame, or null with <see cref="Error"/> set.</summary>
    public ClientFrame? ReadClient()
    {
        if (_bytes.Length == 0)
        {
            return Fail<ClientFrame>("An empty frame.");
        }

        return (FrameKind)_bytes.Span[0] switch
        {
            FrameKind.Open => ReadOpen(),
            FrameKind.Step => ReadStep(),
            FrameKind.Truncate => ReadTruncate(),
            FrameKind.Fork => ReadFork(),
            FrameKind.Ping => ReadPing(),
            FrameKind.Close => ReadClose(),
            _ => Fail<ClientFrame>($"A client frame of unknown kind {_bytes.Span[0]}."),
        };
    }

    /// <summary>A worker's frame, or null with <see cref="Error"/> set.</summary>
    public WorkerFrame? ReadWorker()
    {
        if (_bytes.Length == 0)
        {
            return Fail<WorkerFrame>("An empty frame.");
        }

        return (FrameKind)_bytes.Span[0] switch
        {
            FrameKind.Opened => ReadOpened(),
            FrameKind.Rows => ReadRows(),
            FrameKind.Pong => ReadPong(),
            FrameKind.Error => ReadError(),
            _ => Fail<WorkerFrame>($"A worker frame of unknown kind {_bytes.Span[0]}."),
        };
    }

    private StepFrame? ReadStep()
    {
        if (_bytes.Length < FrameCodec.StepHeaderBytes)
        {
            return Fail<StepFrame>($"A step frame has at least {FrameCodec.StepHeaderBytes} bytes, not {_bytes.Length}.");
        }

        _position = 1;
        if (!Zero(1))
        {
            return null;
        }

        int padding = U16();
        uint epoch = U32();
        ulong seq = U64();
        ulong ack = U64();
        uint keepCount = U32();
        uint rowCount = U32();
        if (keepCount > FrameCodec.MaxRows || rowCount > FrameCodec.MaxRows)
        {
            Error = new WireError(WireErrorCode.TooLarge, $"A step frame announces {keepCount} kept ids and {rowCount} rows; at most {FrameCodec.MaxRows} of each.", SessionSurvives: false, Seq: seq);
            return null;
        }

        // Both counts are at most 2^16, so this cannot overflow.
        int lists = (8 * (int)keepCount) + (FrameCodec.StepRowBytes * (int)rowCount);
        int payloadBytes = _bytes.Length - _position - lists - padding;
        if (payloadBytes < 0)
        {
            return Fail<StepFrame>($"A step frame of {_bytes.Length} bytes announces {keepCount} kept ids, {rowCount} rows and {padding} bytes of padding, {_position + lists + padding} bytes.");
        }

        if (seq == 0 || ack >= seq)
        {
            return Fail<StepFrame>($"A step frame has seq {seq} and ack {ack}; seqs start at 1 and an ack is below the seq.");
        }

        if (rowCount == 0 ? payloadBytes != 0 : payloadBytes % rowCount != 0)
        {
            return Fail<StepFrame>($"A step frame's payload of {payloadBytes} bytes is no multiple of its {rowCount} rows.");
        }

        if (!TryReadIds((int)keepCount, "kept", out ulong[] keep))
        {
            return null;
        }

        ReadOnlySpan<byte> ids = Take(8 * (int)rowCount);
        ReadOnlySpan<byte> parents = Take(8 * (int)rowCount);
        ReadOnlySpan<byte> flags = Take((int)rowCount);
        StepRow[] rows = rowCount == 0 ? [] : new StepRow[rowCount];
        ulong previous = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            ulong id = BinaryPrimitives.ReadUInt64LittleEndian(ids[(8 * i)..]);
            ulong parent = BinaryPrimitives.ReadUInt64LittleEndian(parents[(8 * i)..]);
            if (id <= previous || parent >= id || ((RowFlags)flags[i] & ~KnownFlags) != 0)
            {
                return Fail<StepFrame>($"Row {i} of a step frame has id {id} after {previous}, parent {parent} and flags {flags[i]}; ids rise, a parent is below its row, and flags are below 8.");
            }

            rows[i] = new StepRow(id, parent, (RowFlags)flags[i]);
            previous = id;
        }

        ReadOnlyMemory<byte> payload = _bytes.Slice(_position, payloadBytes);
        _position += payloadBytes;
        return Zero(padding) ? new StepFrame(seq, epoch, ack, keep, rows, payload) { PaddingBytes = padding } : null;
    }

    private TruncateFrame? ReadTruncate()
    {
        if (!HasSize(24, "truncate") || !Zero(3))
        {
            return null;
        }

        uint length = U32();
        ulong seq = U64();
        ulong ack = U64();
        return length > int.MaxValue || seq == 0 || ack >= seq
            ? Fail<TruncateFrame>($"A truncate frame has length {length}, seq {seq} and ack {ack}; seqs start at 1 and an ack is below the seq.")
            : new TruncateFrame(seq, ack, (int)length);
    }

    private ForkFrame? ReadFork()
    {
        if (!HasSize(24, "fork") || !Zero(7))
        {
            return null;
        }

        ulong seq = U64();
        ulong ack = U64();
        return seq == 0 || ack >= seq
            ? Fail<ForkFrame>($"A fork frame has seq {seq} and ack {ack}; seqs start at 1 and an ack is below the seq.")
            : new ForkFrame(seq, ack);
    }

    private PingFrame? ReadPing() => HasSize(16, "ping") && Zero(7) ? new PingFrame(U64()) : null;

    private CloseFrame? ReadClose() => HasSize(8, "close") && Zero(7) ? new CloseFrame() : null;

    private OpenedFrame? ReadOpened()
    {
        if (!HasSize(FrameCodec.OpenedBytes, "opened") || !Zero(1))
        {
            return null;
        }

        ushort version = U16();
        if (!Zero(4))
        {
            return null;
        }

        ulong resumedSeq = U64();
        ulong answersSeq = U64();
        return new OpenedFrame(version, Secret(), Secret(), resumedSeq, answersSeq);
    }

    private RowsFrame? ReadRows()
    {
        if (_bytes.Length < FrameCodec.RowsHeaderBytes)
        {
            return Fail<RowsFrame>($"A rows frame has at least {FrameCodec.RowsHeaderBytes} bytes, not {_bytes.Length}.");
        }

        _position = 1;
        if (!Zero(3))
        {
            return null;
        }

        uint epoch = U32();
        ulong seq = U64();
        uint queueMicros = U32();
        uint computeMicros = U32();
        uint rowCount = U32();
        uint droppedBytes = U32();
        if (rowCount > FrameCodec.MaxRows || droppedBytes > FrameCodec.MaxRows / 8)
        {
            Error = new WireError(WireErrorCode.TooLarge, $"A rows frame announces {rowCount} rows and a bitmap of {droppedBytes} bytes; at most {FrameCodec.MaxRows} and {FrameCodec.MaxRows / 8}.", SessionSurvives: false, Seq: seq);
            return null;
        }

        int lists = (8 * (int)rowCount) + (int)droppedBytes;
        int payloadBytes = _bytes.Length - _position - lists;
        if (payloadBytes < 0)
        {
            return Fail<RowsFrame>($"A rows frame of {_bytes.Length} bytes announces {rowCount} rows and a bitmap of {droppedBytes} bytes, {_position + lists} bytes.");
        }

        if (seq == 0 || (rowCount == 0 ? payloadBytes != 0 : payloadBytes % rowCount != 0))
        {
            return Fail<RowsFrame>($"A rows frame has seq {seq}, {rowCount} rows and a payload of {payloadBytes} bytes.");
        }

        if (!TryReadIds((int)rowCount, "returned", out ulong[] ids))
        {
            return null;
        }

        byte[] dropped = Take((int)droppedBytes).ToArray();
        return new RowsFrame(seq, epoch, ids, dropped, queueMicros, computeMicros, _bytes[_position..]);
    }

    private PongFrame? ReadPong() => HasSize(16, "pong") && Zero(7) ? new PongFrame(U64()) : null;

    private ErrorFrame? ReadError()
    {
        if (_bytes.Length < FrameCodec.ErrorHeaderBytes)
        {
            return Fail<ErrorFrame>($"An error frame has at least {FrameCodec.ErrorHeaderBytes} bytes, not {_bytes.Length}.");
        }

        _position = 1;
        byte survives = U8();
        ushort code = U16();
        uint retryAfterMs = U32();
        ulong seq = U64();
        ushort messageBytes = U16();
        if (survives > 1 || retryAfterMs > int.MaxValue || messageBytes > FrameCodec.MaxErrorMessageBytes || messageBytes != _bytes.Length - _position)
        {
            return Fail<ErrorFrame>($"An error frame of {_bytes.Length} bytes has survival flag {survives}, retry {retryAfterMs} ms and a message of {messageBytes} bytes.");
        }

        string message;
        try
        {
            message = s_strictUtf8.GetString(Take(messageBytes));
        }
        catch (DecoderFallbackException)
        {
            return Fail<ErrorFrame>($"An error frame's message of {messageBytes} bytes is not UTF-8.");
        }

        // Codes from 0x8000 are this side's own findings; a peer may not claim them.
        WireErrorCode known = code < 0x8000 ? (WireErrorCode)code : WireErrorCode.Malformed;
        return new ErrorFrame(new WireError(known, PrintableText.Clean(message), survives == 1, (int)retryAfterMs, seq));
    }

    private bool TryReadIds(int count, string what, out ulong[] ids)
    {
        ReadOnlySpan<byte> source = Take(8 * count);
        ids = count == 0 ? [] : new ulong[count];
        ulong previous = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = BinaryPrimitives.ReadUInt64LittleEndian(source[(8 * i)..]);
            if (ids[i] <= previous)
            {
                Fail<ClientFrame>($"Id {i} of the {what} rows is {ids[i]} after {previous}; ids rise and start at 1.");
                return false;
            }

            previous = ids[i];
        }

        return true;
    }

    private bool HasSize(int size, string name)
    {
        if (_bytes.Length != size)
        {
            Fail<ClientFrame>($"A {name} frame has {size} bytes, not {_bytes.Length}.");
            return false;
        }

        _position = 1;
        return true;
    }

    private bool Zero(int count)
    {
        int start = _position;
        if (Take(count).ContainsAnyExcept((byte)0))
        {
            Fail<ClientFrame>($"Reserved bytes {start} to {start + count - 1} of a frame of kind {_bytes.Span[0]} are not zero.");
            return false;
        }

        return true;
    }

    private byte U8() => Take(1)[0];

    private ushort U16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    private uint U32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ulong U64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    private byte[] Secret() => Take(FrameCodec.SecretBytes).ToArray();

    private ReadOnlySpan<byte> Take(int count)
    {
        ReadOnlySpan<byte> taken = _bytes.Span.Slice(_position, count);
        _position += count;
        return taken;
    }

    private T? Fail<T>(string message)
        where T : class
    {
        Error = new WireError(WireErrorCode.Malformed, message, SessionSurvives: false);
        return null;
    }
}
