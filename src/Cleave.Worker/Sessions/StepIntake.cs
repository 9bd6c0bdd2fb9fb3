using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;

namespace Cleave.Worker.Sessions;

/// <summary>What a session asks of a step before it may be queued: sizes, flags, finite numbers; and the bytes it is charged for.</summary>
/// <param name="shape">The worker's bounds.</param>
/// <param name="wireType">Encoding of the session's activations.</param>
/// <param name="maxTokens">Most rows the session may hold.</param>
internal sealed class StepIntake(ServingShape shape, WireType wireType, int maxTokens)
{
    private readonly int _hiddenSize = shape.HiddenSize;
    private readonly int _rowBytes = ActivationCodec.RowBytes(wireType, shape.HiddenSize);

    /// <summary>Why a step is refused for its form; null when it is not. Nothing is allocated.</summary>
    public WireError? Problem(StepFrame step)
    {
        if (step.Rows.Length > shape.MaxRowsPerStep || step.Keep.Length > maxTokens)
        {
            return new WireError(WireErrorCode.TooLarge, $"Step {step.Seq} has {step.Rows.Length} rows and {step.Keep.Length} kept ids; at most {shape.MaxRowsPerStep} rows, and kept ids up to the session's {maxTokens} tokens.", Seq: step.Seq);
        }

        long expected = (long)step.Rows.Length * _rowBytes;
        if (step.Payload.Length != expected)
        {
            return new WireError(WireErrorCode.Malformed, $"Step {step.Seq} has {step.Rows.Length} rows and a payload of {step.Payload.Length} bytes; {wireType} rows of {_hiddenSize} take {expected}.", Seq: step.Seq);
        }

        ReadOnlySpan<StepRow> rows = step.Rows.Span;
        for (int i = 0; i < rows.Length; i++)
        {
            if ((rows[i].Flags & RowFlags.Tap) != 0)
            {
                return new WireError(WireErrorCode.Malformed, $"Row {i} of step {step.Seq} asks for a tap, which this version reserves.", Seq: step.Seq);
            }

            if (i > 0 && (rows[i - 1].Flags & RowFlags.Dummy) != 0 && (rows[i].Flags & RowFlags.Dummy) == 0)
            {
                return new WireError(WireErrorCode.Malformed, $"Row {i} of step {step.Seq} follows a dummy row; dummy rows end a step.", Seq: step.Seq);
            }
        }

        return null;
    }

    /// <summary>A step without problems as the compute loop takes it, unless a number in it is not finite.</summary>
    public bool TryDecode(StepFrame step, long receivedAt, out PendingStep? pending, out WireError? error)
    {
        ReadOnlySpan<StepRow> rows = step.Rows.Span;
        var hidden = new float[rows.Length * _hiddenSize];
        if (!ActivationCodec.TryDecode(wireType, step.Payload.Span, _hiddenSize, hidden, out int badRow))
        {
            pending = null;
            error = new WireError(WireErrorCode.NotFinite, $"Row {badRow} of step {step.Seq} has a number that is not finite.", Seq: step.Seq);
            return false;
        }

        var tree = new TreeRow[rows.Length];
        var returned = new bool[rows.Length];
        int dummies = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            tree[i] = new TreeRow(rows[i].Id, rows[i].ParentId);
            returned[i] = (rows[i].Flags & RowFlags.Return) != 0;
            dummies += (rows[i].Flags & RowFlags.Dummy) != 0 ? 1 : 0;
        }

        pending = new PendingStep(step.Seq, receivedAt, step.Epoch, step.Keep.ToArray(), tree, returned, dummies, hidden);
        error = null;
        return true;
    }

    /// <summary>What a step of this many rows may hold in buffers, from its acceptance until its reply is acknowledged.</summary>
    public long BufferedBytes(int rows) => QueueBytes(rows) + ReplyBytes(rows);

    /// <summary>The part of it that ends when the frame is answered.</summary>
    public long QueueBytes(PendingFrame frame) => frame is PendingStep step ? QueueBytes(step.Rows.Length) : 0;

    /// <summary>The part of it that ends when the reply is acknowledged.</summary>
    public long ReplyBytes(PendingFrame frame) => frame is PendingStep step ? ReplyBytes(step.Rows.Length) : 0;

    private long QueueBytes(int rows) => rows * ((4L * _hiddenSize) + 24);

    // All rows are counted as returned: simpler than exact, and never too little.
    private long ReplyBytes(int rows) => rows * (8L + _rowBytes);
}
