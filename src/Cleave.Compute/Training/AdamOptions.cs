namespace Cleave.Compute.Training;

/// <summary>How a network is trained: AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101) with a rate that falls linearly to nothing.</summary>
public sealed record AdamOptions
{
    /// <summary>Decay of the gradient's mean.</summary>
    public const float Beta1 = 0.9f;

    /// <summary>Decay of its square's mean.</summary>
    public const float Beta2 = 0.999f;

    /// <summary>Keeps a step finite where the gradient has been nothing.</summary>
    public const float Epsilon = 1e-8f;

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

    /// <summary>Updates in all, over so many pairs.</summary>
    public int Steps(int rows) => Epochs * ((rows + BatchSize - 1) / BatchSize);

    /// <summary>One update's numbers; <paramref name="step"/> counts from 1.</summary>
    public AdamStep Step(int step, int steps)
    {
        double rate = LearningRate * (1 - ((double)(step - 1) / steps));
        return new AdamStep(
            (float)(rate / (1 - Math.Pow(Beta1, step))), (float)(1 / (1 - Math.Pow(Beta2, step))), (float)(1 - (rate * WeightDecay)));
    }
}
