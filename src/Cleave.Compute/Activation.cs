namespace Cleave.Compute;

/// <summary>Gate activation of a gated feed-forward layer.</summary>
public enum Activation
{
    /// <summary>x·sigmoid(x), SwiGLU's gate.</summary>
    Silu,

    /// <summary>The tanh approximation of GELU (Gemma).</summary>
    GeluTanh,

    /// <summary>The exact, erf-based GELU.</summary>
    Gelu,
}
