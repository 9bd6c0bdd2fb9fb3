namespace Cleave.Inference.Sampling;

/// <summary>
/// Forbids tokens before any filter and noise (structured output). Its state is a function of the output so far, so it
/// can be asked about tree paths: states are immutable values.
/// </summary>
public interface ITokenMask
{
    /// <summary>Sets the logits of tokens that may not come next to negative infinity.</summary>
    void Apply(Span<float> logits);

    /// <summary>True when <paramref name="token"/> may come next.</summary>
    bool Allows(int token);

    /// <summary>The mask after <paramref name="token"/>.</summary>
    ITokenMask Next(int token);
}
