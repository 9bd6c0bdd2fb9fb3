using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>A small perceptron over summary numbers: which class a session is of.</summary>
public sealed class FeatureClassifier
{
    private readonly Perceptron _network;

    private FeatureClassifier(Perceptron network) => _network = network;

    /// <summary>Learns from sessions of known class.</summary>
    public static FeatureClassifier Train(MatrixProduct product, IReadOnlyList<float[]> sessions, IReadOnlyList<int> labels, int classes, int seed)
    {
        var options = new AdamOptions { Epochs = 120, BatchSize = 16, LearningRate = 3e-3, WeightDecay = 0.05, Seed = seed };
        return new FeatureClassifier(Perceptron.Train(
            new CpuPerceptronTrainer(product), sessions.SelectMany(static row => row).ToArray(), sessions[0].Length, [.. labels], classes, [32], options));
    }

    /// <summary>The likeliest class.</summary>
    public int Classify(float[] session)
    {
        Span<int> best = stackalloc int[1];
        BestFew.Find(_network.Scores(session), best);
        return best[0];
    }
}
