using Cleave.Compute;

namespace Cleave.Inference.Sampling;

/// <summary>
/// A row of logits in short: the largest, those of penalised tokens, and the mass of all. <see cref="Sampler.TryChoose"/> chooses from it
/// whenever the whole row would give the same token.
/// </summary>
public sealed class LogitSummary
{
    private readonly TopRows _tops;
    private readonly int _row;

    internal LogitSummary(TopRows tops, int row)
    {
        _tops = tops;
        _row = row;
    }

    /// <summary>Tokens that take part.</summary>
    public int Count => _tops.Count;

    /// <summary>Tokens of the largest logits, in descending order, equal ones by ascending token.</summary>
    public ReadOnlySpan<int> Tokens => _tops.Columns.AsSpan(_row * _tops.K, _tops.K);

    /// <summary>Their logits.</summary>
    public ReadOnlySpan<float> Values => _tops.Values.AsSpan(_row * _tops.K, _tops.K);

    /// <summary>Tokens whose logits were asked for.</summary>
    public ReadOnlySpan<int> AskedTokens => _tops.Asked;

    /// <summary>Their logits.</summary>
    public ReadOnlySpan<float> AskedValues => _tops.AskedValues.AsSpan(_row * _tops.Asked.Length, _tops.Asked.Length);

    /// <summary>Sum over all tokens of e^((logit - largest) / temperature), right to <see cref="MassError"/> of itself.</summary>
    public double Mass => _tops.Sums[_row];

    /// <summary>Relative error <see cref="Mass"/> may have; what a device sums in float32 is a hundred times better.</summary>
    public const double MassError = 1e-4;
}
