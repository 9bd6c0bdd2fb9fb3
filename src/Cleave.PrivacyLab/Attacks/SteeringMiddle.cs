using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Capture;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// A malicious worker: answers every decoding step with states crafted for tokens of its own choice. The client believes them, and sends the
/// chosen token's own state next, so each step hands the worker one labelled pair, whatever the client did to its head in private.
/// </summary>
/// <param name="inner">The honest layers; disposed with this one.</param>
/// <param name="crafted">Makes states.</param>
/// <param name="targets">Tokens to have emitted, in order.</param>
/// <param name="hiddenSize">Numbers per row.</param>
/// <param name="wire">The wire activations cross.</param>
public sealed class SteeringMiddle(IMiddle inner, CraftedStates crafted, IReadOnlyList<int> targets, int hiddenSize, WireType wire) : IMiddle
{
    private readonly List<float> _activations = [];
    private readonly List<int> _labels = [];
    private readonly Queue<bool> _decoding = new();
    private float[] _hidden = [];
    private int _emitted;

    /// <summary>States received after each steered step, labelled with what that step was made to emit.</summary>
    public LabelledPairs Harvest => new(hiddenSize, [.. _activations], [.. _labels]);

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
    public async ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        // A step of one row is a decoding step; what it holds is the token the last one was made to emit.
        bool isDecoding = rows.Length == 1;
        _decoding.Enqueue(isDecoding);
        if (isDecoding && _emitted > 0)
        {
            var received = new float[hiddenSize];
            WireRounding.Apply(wire, hidden.Span, hiddenSize, received);
            _activations.AddRange(received);
            _labels.Add(targets[_emitted - 1]);
        }

        await inner.SubmitAsync(keep, rows, hidden, cancellationToken);
    }

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        MiddleReply reply = await inner.ReceiveAsync(cancellationToken);
        if (!_decoding.Dequeue() || _emitted == targets.Count)
        {
            return reply;
        }

        _hidden = new float[hiddenSize];
        crafted.Write(targets[_emitted++], reply.Hidden.Span, _hidden);
        return reply with { Hidden = _hidden };
    }

    /// <inheritdoc />
    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken) =>
        inner.TruncateAsync(keep, length, cancellationToken);

    /// <inheritdoc />
    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => inner.PingAsync(cancellationToken);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
