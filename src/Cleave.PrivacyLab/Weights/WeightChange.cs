using Cleave.Compute;
using Cleave.Models;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Weights;

/// <summary>Ways to change a model's layers: as a user may in private, or as a worker may behind his back.</summary>
public static class WeightChange
{
    private static readonly LayerTensor[] Matrices =
    [
        LayerTensor.Query, LayerTensor.Key, LayerTensor.Value, LayerTensor.AttentionOutput, LayerTensor.Gate, LayerTensor.Up, LayerTensor.Down,
    ];

    /// <summary>
    /// A random low-rank addition to every matrix: the paper's "random LoRA of local layers", and the stand-in for ends tuned in private.
    /// W' = W + scale · |W| · BA / |BA|, B and A normal.
    /// </summary>
    public static IModelSource RandomLora(IModelSource source, IComputeDevice device, IEnumerable<int> layers, int rank, double scale, int seed)
    {
        var random = new Random(seed);
        using var product = new MatrixProduct(device);
        return Each(source, device, layers, Matrices, "random-lora", matrix =>
        {
            var left = new HostMatrix(matrix.Rows, rank);
            var right = new HostMatrix(matrix.Columns, rank);
            GaussianFill.Apply(left.Values, random);
            GaussianFill.Apply(right.Values, random);
            var addition = new float[matrix.Values.Length];
            product.Multiply(left.Values, right, addition);
            double ratio = scale * Norm(matrix.Values) / Norm(addition);
            for (int i = 0; i < addition.Length; i++)
            {
                matrix.Values[i] += (float)(ratio * addition[i]);
            }
        });
    }

    /// <summary>Matrices rounded to <paramref name="bits"/> bits in blocks of 32: what a worker does that saves memory and says nothing.</summary>
    public static IModelSource Quantised(IModelSource source, IComputeDevice device, IEnumerable<int> layers, int bits)
    {
        const int Block = 32;
        float levels = (1 << (bits - 1)) - 1;
        return Each(source, device, layers, Matrices, $"quantised-{bits}", matrix =>
        {
            for (int start = 0; start < matrix.Values.Length; start += Block)
            {
                Span<float> block = matrix.Values.AsSpan(start, Math.Min(Block, matrix.Values.Length - start));
                float largest = 0;
                foreach (float value in block)
                {
                    largest = Math.Max(largest, Math.Abs(value));
                }

                float step = Math.Max(largest / levels, float.Epsilon);
                foreach (ref float value in block)
                {
                    value = MathF.Round(value / step) * step;
                }
            }
        });
    }

    /// <summary>
    /// The same function in another order of summation: the inner columns of each feed-forward permuted. What is left are rounding
    /// differences, those of an honest worker whose kernels are not ours.
    /// </summary>
    public static IModelSource Reordered(IModelSource source, IComputeDevice device, IEnumerable<int> layers, int seed)
    {
        int[] order = [.. Enumerable.Range(0, source.Config.FeedForwardSize)];
        new Random(seed).Shuffle(order);
        IModelSource rows = Each(source, device, layers, [LayerTensor.Gate, LayerTensor.Up], "reordered", matrix =>
        {
            float[] old = [.. matrix.Values];
            for (int row = 0; row < matrix.Rows; row++)
            {
                old.AsSpan(order[row] * matrix.Columns, matrix.Columns).CopyTo(matrix.Row(row));
            }
        });
        return Each(rows, device, layers, [LayerTensor.Down], "reordered", matrix =>
        {
            float[] old = [.. matrix.Values];
            for (int row = 0; row < matrix.Rows; row++)
            {
                for (int column = 0; column < matrix.Columns; column++)
                {
                    matrix.Row(row)[column] = old[(row * matrix.Columns) + order[column]];
                }
            }
        });
    }

    /// <summary>One layer in another's place.</summary>
    public static IModelSource Replaced(IModelSource source, int layer, int by)
    {
        var changed = new Dictionary<(int, LayerTensor), TensorData>();
        foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
        {
            if (source.Layer(by, role) is { } tensor)
            {
                changed[(layer, role)] = tensor;
            }
        }

        return new RewrittenSource(source, "replaced", changed);
    }

    private static RewrittenSource Each(
        IModelSource source, IComputeDevice device, IEnumerable<int> layers, LayerTensor[] roles, string transform, Action<HostMatrix> change)
    {
        var changed = new Dictionary<(int, LayerTensor), TensorData>();
        foreach (int layer in layers)
        {
            foreach (LayerTensor role in roles)
            {
                if (source.Layer(layer, role) is { } tensor)
                {
                    using DeviceWeight weight = device.LoadWeight([tensor]);
                    var matrix = new HostMatrix(weight.Outputs, weight.Inputs, tensor.Name);
                    DenseWeights.Read(device, weight).CopyTo(matrix.Values, 0);
                    change(matrix);
                    changed[(layer, role)] = matrix.Tensor;
                }
            }
        }

        return new RewrittenSource(source, transform, changed);
    }

    private static double Norm(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values)
        {
            sum += (double)value * value;
        }

        return Math.Sqrt(sum);
    }
}
