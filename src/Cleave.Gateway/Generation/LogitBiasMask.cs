using Cleave.Inference.Sampling;

namespace Cleave.Gateway.Generation;

/// <summary>Adds fixed numbers to some logits (OpenAI's logit_bias), then applies another mask; -100 bans a token.</summary>
internal sealed class LogitBiasMask(IReadOnlyDictionary<int, float> biases, ITokenMask? inner) : ITokenMask
{
    /// <inheritdoc />
    public void Apply(Span<float> logits)
    {
        foreach ((int token, float bias) in biases)
        {
            logits[token] = bias <= -100 ? float.NegativeInfinity : logits[token] + bias;
        }

        inner?.Apply(logits);
    }

    /// <inheritdoc />
    public bool Allows(int token) => !(biases.TryGetValue(token, out float bias) && bias <= -100) && inner?.Allows(token) != false;

    /// <inheritdoc />
    public ITokenMask Next(int token) => inner is null ? this : new LogitBiasMask(biases, inner.Next(token));
}
