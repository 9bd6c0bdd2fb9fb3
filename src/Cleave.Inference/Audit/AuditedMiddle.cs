using Cleave.Engine;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Audit;

/// <summary>Middle layers whose boundary tensors are noted for a later audit. Changes nothing.</summary>
/// <param name="inner">The middle layers; disposed with this one.</param>
/// <param name="log">Takes the notes.</param>
public sealed class AuditedMiddle(IMiddle inner, AuditLog log) : IMiddle
{
    private readonly Queue<AuditLog.Entry?> _unanswered = new();

    /// <inheritdoc />
    public int MaxRowsPerStep => inner.MaxRowsPerStep;

    /// <inheritdoc />
    public int MaxStepsInFlight => inner.MaxStepsInFlight;

    /// <inheritdoc />
    public long BytesUp => inner.BytesUp;

    /// <inheritdoc />
    public long BytesDown => inner.BytesDown;

    /// <inheritdoc />
    public string KernelFingerprint => inner.KernelFingerprint;

    /// <inheritdoc />
    public bool ReplyReady => inner.ReplyReady;

    /// <inheritdoc />
    public IReadOnlyList<int> WireCuts => inner.WireCuts;

    /// <summary>The notes.</summary>
    public AuditLog Log => log;

    /// <inheritdoc />
    public ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        _unanswered.Enqueue(log.Step(keep.Span, rows.Span, hidden.Span));
        return inner.SubmitAsync(keep, rows, hidden, cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        MiddleReply reply = await inner.ReceiveAsync(cancellationToken);
        if (_unanswered.Dequeue() is { } entry)
        {
            log.Answered(entry, reply.RowIds.Span, reply.Hidden.Span);
        }

        return reply;
    }

    /// <inheritdoc />
    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        log.Truncated(keep.Span, length);
        return inner.TruncateAsync(keep, length, cancellationToken);
    }

    /// <inheritdoc />
    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => inner.PingAsync(cancellationToken);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
