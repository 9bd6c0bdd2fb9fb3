using System.Diagnostics;
using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Protocol.Codec;

namespace Cleave.PrivacyLab.Capture;

/// <summary>
/// Stands where the network and the worker stand: passes activations through the wire codec both ways, as a link does, and keeps what
/// the worker sees. The layers themselves run in <paramref name="inner"/>.
/// </summary>
/// <param name="inner">The middle layers; disposed with the tap.</param>
/// <param name="view">Receives what the worker sees.</param>
public sealed class WireTap(IMiddle inner, WorkerView view) : IMiddle
{
    private readonly Queue<Step> _steps = new();
    private readonly long _began = Stopwatch.GetTimestamp();
    private float[] _hidden = [];

    /// <inheritdoc />
    public int MaxRowsPerStep => inner.MaxRowsPerStep;

    /// <inheritdoc />
    public int MaxStepsInFlight => inner.MaxStepsInFlight;

    /// <inheritdoc />
    public long BytesUp { get; private set; }

    /// <inheritdoc />
    public long BytesDown { get; private set; }

    /// <inheritdoc />
    public string KernelFingerprint => inner.KernelFingerprint;

    /// <inheritdoc />
    public bool ReplyReady => inner.ReplyReady;

    /// <inheritdoc />
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        var step = new Step(keep.ToArray(), new ulong[rows.Length], new ulong[rows.Length], OverWire(hidden.Span), ElapsedMs);
        for (int i = 0; i < rows.Length; i++)
        {
            step.Ids[i] = rows.Span[i].Id;
            step.Parents[i] = rows.Span[i].ParentId;
        }

        _steps.Enqueue(step);
        BytesUp += StepBytes(keep.Length, rows.Length);
        await inner.SubmitAsync(keep, rows, step.Entering, cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        MiddleReply reply = await inner.ReceiveAsync(cancellationToken);
        Step step = _steps.Dequeue();
        _hidden = OverWire(reply.Hidden.Span);
        int bytesDown = RowsBytes(step.Ids.Length);
        BytesDown += bytesDown;
        view.AddStep(step.Keep, step.Ids, step.Parents, step.Entering, _hidden, StepBytes(step.Keep.Length, step.Ids.Length), bytesDown, step.SentMs, ElapsedMs);
        return reply with { Hidden = _hidden };
    }

    /// <inheritdoc />
    public async ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken)
    {
        view.Keep(keep.Span);
        await inner.TruncateAsync(keep, length, cancellationToken);
    }

    /// <inheritdoc />
    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => inner.PingAsync(cancellationToken);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private double ElapsedMs => Stopwatch.GetElapsedTime(_began).TotalMilliseconds;

    private int RowBytes => ActivationCodec.RowBytes(view.Wire, view.HiddenSize);

    private int StepBytes(int kept, int rows) => FrameCodec.StepHeaderBytes + (8 * kept) + (rows * (FrameCodec.StepRowBytes + RowBytes));

    // A rows frame's header is as long as a step's; each row has its id.
    private int RowsBytes(int rows) => FrameCodec.StepHeaderBytes + (rows * (8 + RowBytes));

    private float[] OverWire(ReadOnlySpan<float> hidden)
    {
        var decoded = new float[hidden.Length];
        WireRounding.Apply(view.Wire, hidden, view.HiddenSize, decoded);
        return decoded;
    }

    private sealed record Step(ulong[] Keep, ulong[] Ids, ulong[] Parents, float[] Entering, double SentMs);
}
