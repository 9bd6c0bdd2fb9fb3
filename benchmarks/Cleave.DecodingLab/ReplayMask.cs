using Cleave.Inference.Sampling;

namespace Cleave.DecodingLab;

/// <summary>Allows one token at each place: that of a text already known.</summary>
internal sealed class ReplayMask(int[] tokens, int at = 0) : ITokenMask
{
    public void Apply(Span<float> logits)
    {
        logits.Fill(float.NegativeInfinity);
        logits[tokens[Math.Min(at, tokens.Length - 1)]] = 0;
    }

    public bool Allows(int token) => token == tokens[Math.Min(at, tokens.Length - 1)];

    public ITokenMask Next(int token) => new ReplayMask(tokens, at + 1);
}
