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

    /// <summary>Everything: drafters may guess what they like, and only the choice is bound to the text.</summary>
    public bool Allows(int token) => true;

    public ITokenMask Next(int token) => new ReplayMask(tokens, at + 1);
}
