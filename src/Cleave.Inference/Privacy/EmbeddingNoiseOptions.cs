namespace Cleave.Inference.Privacy;

/// <summary>Gaussian noise at the embedding: off unless asked for, since it changes the text.</summary>
public sealed record EmbeddingNoiseOptions
{
    /// <summary>Longest embedding (L2); longer ones are scaled down to it. Two tokens are then at most twice this apart.</summary>
    public required double ClipNorm { get; init; }

    /// <summary>Epsilon of one token's row.</summary>
    public required double Epsilon { get; init; }

    /// <summary>Delta of every statement about it.</summary>
    public double Delta { get; init; } = 1e-6;

    /// <summary>Standard deviation of each number, from the analytic Gaussian mechanism.</summary>
    public double Sigma => GaussianMechanism.Sigma(2 * ClipNorm, Epsilon, Delta);

    /// <summary>Null, or one sentence on what is wrong.</summary>
    public string? Validate() =>
        !(ClipNorm > 0) || !double.IsFinite(ClipNorm) ? $"the clip norm is {ClipNorm}; it is a number above 0"
        : !(Epsilon > 0) || !double.IsFinite(Epsilon) ? $"epsilon is {Epsilon}; it is a number above 0"
        : !(Delta > 0 && Delta < 1) ? $"delta is {Delta}; it lies between 0 and 1"
        : null;
}
