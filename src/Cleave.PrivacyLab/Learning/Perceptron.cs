using Cleave.Compute;
using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>
/// A multi-layer perceptron with rectifiers and a softmax, trained with cross entropy: the paper's inversion network when its hidden
/// widths are 2048 and 2048. It learns on inputs standardised by the training pairs.
/// </summary>
public sealed class Perceptron
{
    private readonly IPerceptronTrainer _trainer;
    private readonly DenseLayer[] _layers;

    private Perceptron(IPerceptronTrainer trainer, DenseLayer[] layers)
    {
        _trainer = trainer;
        _layers = layers;
    }

    /// <summary>Classes.</summary>
    public int Classes => _layers[^1].Outputs;

    /// <summary>Trains on x: [rows, inputs] with a class for each row.</summary>
    public static Perceptron Train(
        IPerceptronTrainer trainer, float[] x, int inputs, int[] labels, int classes, IReadOnlyList<int> hiddenWidths, AdamOptions options)
    {
        var random = new Random(options.Seed);
        double[] mean = Moments.Mean(x, inputs);
        double[] deviation = Moments.Deviation(x, mean);
        int[] widths = [inputs, .. hiddenWidths, classes];
        DenseLayer[] layers = [.. widths.Zip(widths[1..], (from, to) => First(from, to, random))];
        var rows = new LabelledRows(x, labels, [.. mean.Select(static m => (float)m)], [.. deviation.Select(static d => (float)(1 / d))]);
        trainer.Train(layers, rows, options, random);
        TakeScaling(layers[0], rows);
        return new Perceptron(trainer, layers);
    }

    /// <summary>Scores before the softmax: x: [rows, inputs] to [rows, classes].</summary>
    public float[] Scores(ReadOnlySpan<float> x)
    {
        var scores = new float[x.Length / _layers[0].Inputs * Classes];
        _trainer.Score(_layers, x, scores);
        return scores;
    }

    private static DenseLayer First(int inputs, int outputs, Random random)
    {
        var weight = new HostMatrix(outputs, inputs);
        float bound = MathF.Sqrt(6f / inputs); // He et al. 2015, uniform
        foreach (ref float value in weight.Values.AsSpan())
        {
            value = ((2 * random.NextSingle()) - 1) * bound;
        }

        return new DenseLayer(weight, new float[outputs]);
    }

    // What standardised the inputs becomes a part of the first layer: w · ((x - mean) · scale) + b.
    private static void TakeScaling(DenseLayer layer, LabelledRows rows)
    {
        for (int output = 0; output < layer.Outputs; output++)
        {
            Span<float> weight = layer.Weight.Row(output);
            double offset = layer.Bias[output];
            for (int i = 0; i < weight.Length; i++)
            {
                weight[i] *= rows.Scale[i];
                offset -= (double)weight[i] * rows.Mean[i];
            }

            layer.Bias[output] = (float)offset;
        }
    }
}
