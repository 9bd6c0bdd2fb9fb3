using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Weights;

/// <summary>A worker that adds noise to what it returns, in the steps it chooses: what an audit must catch.</summary>
/// <param name="inner">The layers; disposed with this one.</param>
/// <param name="relativeNoise">Length of the noise as a share of the state's.</param>
/// <param name="alters">Which steps, counted from 0.</param>
/// <param name="seed">Of the noise.</param>
public sealed class TamperingMiddle(IMiddle inner, double relativeNoise, Func<int, bool> alters, int seed) : IMiddle
{
    private readonly Random _random = new(seed);
    private int _step;

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
    public ValueTask SubmitAsync(
        ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken) =>
        inner.SubmitAsync(keep, rows, hidden, cancellationToken);

    /// <inheritdoc />
    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        MiddleReply reply = await inner.ReceiveAsync(cancellationToken);
        if (!alters(_step++) || reply.RowIds.Length == 0)
        {
            return reply;
        }

        float[] altered = reply.Hidden.ToArray();
        var noise = new float[altered.Length];
        GaussianFill.Apply(noise, _random);
        double squares = 0;
        foreach (float value in altered)
        {
            squares += (double)value * value;
        }

        float scale = (float)(relativeNoise * Math.Sqrt(squares / altered.Length));
        for (int i = 0; i < altered.Length; i++)
        {
            altered[i] += scale * noise[i];
        }

        return reply with { Hidden = altered };
    }

    /// <inheritdoc />
    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken) =>
        inner.TruncateAsync(keep, length, cancellationToken);

    /// <inheritdoc />
    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => inner.PingAsync(cancellationToken);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
