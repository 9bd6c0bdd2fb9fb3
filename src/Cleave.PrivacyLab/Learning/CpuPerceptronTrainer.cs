using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>Trains perceptrons with the products of a compute device; what lies between two products the processor's threads share.</summary>
/// <param name="product">Where to multiply; stays its owner's.</param>
public sealed class CpuPerceptronTrainer(MatrixProduct product) : IPerceptronTrainer
{
    /// <inheritdoc />
    public void Train(IReadOnlyList<DenseLayer> layers, LabelledRows rows, AdamOptions options, Random random)
    {
        TrainedLayer[] trained = [.. layers.Select(static layer => new TrainedLayer(layer))];
        int most = Math.Min(options.BatchSize, rows.Rows);
        float[][] activations = Buffers(layers, most);
        float[][] gradients = [.. Buffers(layers, most)[..^1], activations[^1]];
        int[] order = [.. Enumerable.Range(0, rows.Rows)];
        int steps = options.Steps(rows.Rows);
        int step = 0;
        for (int epoch = 0; epoch < options.Epochs; epoch++)
        {
            random.Shuffle(order);
            for (int first = 0; first < order.Length; first += options.BatchSize)
            {
                int count = Math.Min(options.BatchSize, order.Length - first);
                Pick(rows, order, first, count, activations[0]);
                Forward(layers, activations, count);
                Loss(rows.Labels, order, first, count, layers[^1].Outputs, activations[^1]);
                for (int i = trained.Length - 1; i >= 0; i--)
                {
                    trained[i].Backward(product, activations[i], gradients[i + 1], i == 0 ? null : gradients[i], count);
                    if (i > 0)
                    {
                        Mask(gradients[i], activations[i], count, layers[i].Inputs);
                    }
                }

                AdamStep update = options.Step(++step, steps);
                foreach (TrainedLayer layer in trained)
                {
                    layer.Update(update);
                }
            }
        }
    }

    /// <inheritdoc />
    public void Score(IReadOnlyList<DenseLayer> layers, ReadOnlySpan<float> x, Span<float> scores)
    {
        int rows = x.Length / layers[0].Inputs;
        float[][] activations = Buffers(layers, rows);
        x.CopyTo(activations[0]);
        Forward(layers, activations, rows);
        activations[^1].CopyTo(scores);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        // The product is its owner's.
    }

    // Inputs of every layer, and the last one's output.
    private static float[][] Buffers(IReadOnlyList<DenseLayer> layers, int rows) =>
        [new float[rows * layers[0].Inputs], .. layers.Select(layer => new float[rows * layer.Outputs])];

    private static void Pick(LabelledRows rows, int[] order, int first, int count, float[] batch) => Parallel.For(0, count, i =>
    {
        int columns = rows.Columns;
        ReadOnlySpan<float> from = rows.Values.AsSpan(order[first + i] * columns, columns);
        Span<float> to = batch.AsSpan(i * columns, columns);
        for (int column = 0; column < columns; column++)
        {
            to[column] = (from[column] - rows.Mean[column]) * rows.Scale[column];
        }
    });

    private void Forward(IReadOnlyList<DenseLayer> layers, float[][] activations, int rows)
    {
        for (int i = 0; i < layers.Count; i++)
        {
            DenseLayer layer = layers[i];
            float[] y = activations[i + 1];
            float least = i < layers.Count - 1 ? 0 : float.NegativeInfinity;
            product.Multiply(activations[i].AsSpan(0, rows * layer.Inputs), layer.Weight, y.AsSpan(0, rows * layer.Outputs));
            Parallel.For(0, rows, row =>
            {
                Span<float> values = y.AsSpan(row * layer.Outputs, layer.Outputs);
                for (int column = 0; column < values.Length; column++)
                {
                    values[column] = Math.Max(least, values[column] + layer.Bias[column]);
                }
            });
        }
    }

    // Scores to the gradient of the mean cross entropy.
    private static void Loss(int[] labels, int[] order, int first, int count, int classes, float[] scores) => Parallel.For(0, count, i =>
    {
        Span<float> row = scores.AsSpan(i * classes, classes);
        Softmax.Apply(row);
        row[labels[order[first + i]]] -= 1;
        foreach (ref float value in row)
        {
            value /= count;
        }
    });

    private static void Mask(float[] gradient, float[] activation, int rows, int columns) => Parallel.For(0, rows, row =>
    {
        for (int i = row * columns; i < (row + 1) * columns; i++)
        {
            gradient[i] = activation[i] > 0 ? gradient[i] : 0;
        }
    });
}
