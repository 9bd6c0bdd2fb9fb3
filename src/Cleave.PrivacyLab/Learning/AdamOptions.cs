namespace Cleave.PrivacyLab.Learning;

/// <summary>How a network is trained: AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101) with a rate that falls linearly to nothing.</summary>
public sealed record AdamOptions
{
    /// <summary>Passes over the pairs.</summary>
    public int Epochs { get; init; } = 20;

    /// <summary>Pairs per update.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>First learning rate.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Seed of the first weights and of the order of pairs.</summary>
    public int Seed { get; init; } = 1;
}
