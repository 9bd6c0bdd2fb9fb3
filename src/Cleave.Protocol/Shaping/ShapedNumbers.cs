using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Shaping;

/// <summary>
/// Seqs and row ids of a stream in fixed shape beside those of its client. Frames the client knows nothing of take seqs between his; dummy
/// rows take ids between his: id n of the client is n · 2^20 on the wire.
/// </summary>
internal sealed class ShapedNumbers
{
    private const int Shift = 20;

    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, (ulong ClientSeq, int Rows)> _sent = [];
    private ulong _lastSeq;
    private ulong _lastId;
    private ulong _received;

    /// <summary>Frames sent and not answered.</summary>
    public int Unanswered
    {
        get
        {
            lock (_lock)
            {
                return _sent.Count;
            }
        }
    }

    /// <summary>Seq of the last reply.</summary>
    public ulong Received
    {
        get
        {
            lock (_lock)
            {
                return _received;
            }
        }
    }

    /// <summary>A client's row id on the wire.</summary>
    public static ulong Shifted(ulong clientId) => clientId << Shift;

    /// <summary>The seq of a frame that carries <paramref name="rows"/> rows of the client's frame <paramref name="clientSeq"/>, 0 when it is none of his.</summary>
    public ulong Next(ulong clientSeq, int rows)
    {
        lock (_lock)
        {
            _sent.Add(++_lastSeq, (clientSeq, rows));
            return _lastSeq;
        }
    }

    /// <summary>The wire id of a client's row that is sent now.</summary>
    public ulong RowId(ulong clientId) => _lastId = Shifted(clientId);

    /// <summary>The wire id of a dummy row that is sent now.</summary>
    public ulong DummyId() => ++_lastId;

    /// <summary>What the client would have received; null when the frame answers one he knows nothing of.</summary>
    public WorkerFrame? Restore(WorkerFrame frame, int rowBytes)
    {
        switch (frame)
        {
            case RowsFrame rows:
                (ulong seq, int count) = Answered(rows.Seq);
                return seq == 0 ? null : Restore(rows, seq, count, rowBytes);
            case OpenedFrame { AnswersSeq: > 0 } opened:
                return opened with { AnswersSeq = Answered(opened.AnswersSeq).ClientSeq };
            case ErrorFrame error:
                lock (_lock)
                {
                    ulong clientSeq = _sent.GetValueOrDefault(error.Error.Seq).ClientSeq;
                    return new ErrorFrame(error.Error with { Seq = clientSeq });
                }

            default:
                return frame;
        }
    }

    private (ulong ClientSeq, int Rows) Answered(ulong seq)
    {
        lock (_lock)
        {
            if (!_sent.Remove(seq, out (ulong ClientSeq, int Rows) sent))
            {
                throw new WireException(new WireError(WireErrorCode.Malformed, $"The worker answered frame {seq}, which is not unanswered.", SessionSurvives: false));
            }

            _received = Math.Max(_received, seq);
            return sent;
        }
    }

    private static RowsFrame Restore(RowsFrame frame, ulong clientSeq, int count, int rowBytes)
    {
        // Dummies come last. Dropped rows of the client's did not come back.
        byte[] dropped = [];
        int returned = count;
        ReadOnlySpan<byte> bitmap = frame.Dropped.Span;
        for (int i = 0; i < count && i / 8 < bitmap.Length; i++)
        {
            if ((bitmap[i / 8] & (1 << (i % 8))) != 0)
            {
                dropped = dropped.Length == 0 ? new byte[(count + 7) / 8] : dropped;
                dropped[i / 8] |= (byte)(1 << (i % 8));
                returned--;
            }
        }

        if (frame.RowIds.Length < returned || frame.Payload.Length < returned * rowBytes)
        {
            throw new WireException(new WireError(
                WireErrorCode.Malformed, $"The worker returned {frame.RowIds.Length} rows of a step with {returned} and its padding.", SessionSurvives: false));
        }

        var ids = new ulong[returned];
        for (int i = 0; i < returned; i++)
        {
            ids[i] = frame.RowIds.Span[i] >> Shift;
        }

        return frame with { Seq = clientSeq, RowIds = ids, Dropped = dropped, Payload = frame.Payload[..(returned * rowBytes)] };
    }
}
