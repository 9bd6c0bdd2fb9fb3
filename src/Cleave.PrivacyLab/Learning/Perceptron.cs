namespace Cleave.PrivacyLab.Learning;

/// <summary>
/// A multi-layer perceptron with rectifiers and a softmax, trained with cross entropy: the paper's inversion network when its hidden
/// widths are 2048 and 2048. Inputs are standardised by the training pairs.
/// </summary>
public sealed class Perceptron
{
    private readonly MatrixProduct _product;
    private readonly TrainedLayer[] _layers;
    private readonly float[] _mean;
    private readonly float[] _scale;

    private Perceptron(MatrixProduct product, TrainedLayer[] layers, float[] mean, float[] scale)
    {
        _product = product;
        _layers = layers;
        _mean = mean;
        _scale = scale;
    }

    /// <summary>Classes.</summary>
    public int Classes => _layers[^1].Outputs;

    /// <summary>Trains on x: [rows, inputs] with a class for each row.</summary>
    public static Perceptron Train(
        MatrixProduct product, ReadOnlySpan<float> x, int inputs, ReadOnlySpan<int> labels, int classes, IReadOnlyList<int> hiddenWidths, AdamOptions options)
    {
        // 1. First weights.
        var random = new Random(options.Seed);
        double[] mean = Moments.Mean(x, inputs);
        double[] deviation = Moments.Deviation(x, mean);
        int[] widths = [inputs, .. hiddenWidths, classes];
        var layers = new TrainedLayer[widths.Length - 1];
        for (int i = 0; i < layers.Length; i++)
        {
            layers[i] = new TrainedLayer(widths[i], widths[i + 1], random);
        }

        var network = new Perceptron(product, layers, [.. mean.Select(static m => (float)m)], [.. deviation.Select(static d => (float)(1 / d))]);

        // 2. Epochs over a new order each.
        int[] order = [.. Enumerable.Range(0, labels.Length)];
        int batches = (labels.Length + options.BatchSize - 1) / options.BatchSize;
        int steps = batches * options.Epochs;
        int step = 0;
        for (int epoch = 0; epoch < options.Epochs; epoch++)
        {
            random.Shuffle(order);
            for (int batch = 0; batch < batches; batch++)
            {
                ReadOnlySpan<int> chosen = order.AsSpan()[(batch * options.BatchSize)..Math.Min((batch + 1) * options.BatchSize, order.Length)];
                double rate = options.LearningRate * (1 - ((double)step / steps));
                network.Step(x, inputs, labels, chosen, rate, options.WeightDecay, ++step);
            }
        }

        return network;
    }

    /// <summary>Scores before the softmax: x: [rows, inputs] to [rows, classes].</summary>
    public float[] Scores(ReadOnlySpan<float> x) => Forward(Standardised(x))[^1];

    private void Step(ReadOnlySpan<float> x, int inputs, ReadOnlySpan<int> labels, ReadOnlySpan<int> chosen, double rate, double weightDecay, int step)
    {
        var batch = new float[chosen.Length * inputs];
        for (int i = 0; i < chosen.Length; i++)
        {
            x.Slice(chosen[i] * inputs, inputs).CopyTo(batch.AsSpan(i * inputs, inputs));
        }

        float[][] activations = Forward(Standardised(batch));
        float[] gradient = activations[^1];
        for (int i = 0; i < chosen.Length; i++)
        {
            Span<float> row = gradient.AsSpan(i * Classes, Classes);
            Softmax.Apply(row);
            row[labels[chosen[i]]] -= 1;
            foreach (ref float value in row)
            {
                value /= chosen.Length;
            }
        }

        for (int layer = _layers.Length - 1; layer >= 0; layer--)
        {
            float[] input = activations[layer];
            float[] below = layer == 0 ? [] : new float[input.Length];
            _layers[layer].Backward(_product, input, gradient, below);
            for (int i = 0; i < below.Length; i++)
            {
                below[i] = input[i] > 0 ? below[i] : 0;
            }

            gradient = below;
        }

        foreach (TrainedLayer layer in _layers)
        {
            layer.Update(rate, weightDecay, step);
        }
    }

    /// <summary>Inputs of every layer, and the last one's output.</summary>
    private float[][] Forward(float[] x)
    {
        int rows = x.Length / _layers[0].Inputs;
        var activations = new float[_layers.Length + 1][];
        activations[0] = x;
        for (int layer = 0; layer < _layers.Length; layer++)
        {
            var y = new float[rows * _layers[layer].Outputs];
            _layers[layer].Forward(_product, activations[layer], y);
            if (layer < _layers.Length - 1)
            {
                foreach (ref float value in y.AsSpan())
                {
                    value = Math.Max(0, value);
                }
            }

            activations[layer + 1] = y;
        }

        return activations;
    }

    private float[] Standardised(ReadOnlySpan<float> x)
    {
        float[] standardised = x.ToArray();
        for (int i = 0; i < standardised.Length; i++)
        {
            int column = i % _mean.Length;
            standardised[i] = (standardised[i] - _mean[column]) * _scale[column];
        }

        return standardised;
    }
}
