using Cleave.Compute;

namespace Cleave.PrivacyLab.Learning;

/// <summary>
/// Classes with one mean each and a covariance in common (linear discriminant analysis). The score of x for class c is
/// log N(x; mean_c, covariance), up to a term all classes share.
/// </summary>
public sealed class GaussianClasses
{
    // Columns a thread sums at a time.
    private const int Block = 64;

    private readonly MatrixProduct _product;
    private readonly HostMatrix _weight;
    private readonly float[] _bias;

    /// <summary>Fits classes to x: [rows, inputs] with a class for each row.</summary>
    /// <param name="product">Where to multiply.</param>
    /// <param name="x">[rows, inputs].</param>
    /// <param name="inputs">Columns.</param>
    /// <param name="labels">[rows].</param>
    /// <param name="classes">Classes.</param>
    /// <param name="shrinkage">Share of the covariance taken as isotropic; raised by itself when there are few rows.</param>
    public GaussianClasses(MatrixProduct product, float[] x, int inputs, int[] labels, int classes, double shrinkage = 1e-3)
    {
        _product = product;

        // 1. Means.
        var means = new float[classes * inputs];
        var counts = new int[classes];
        foreach (int label in labels)
        {
            counts[label]++;
        }

        // Threads share the columns, so that a sum has one order.
        Parallel.For(0, (inputs + Block - 1) / Block, block =>
        {
            int left = block * Block;
            int width = Math.Min(Block, inputs - left);
            for (int row = 0; row < labels.Length; row++)
            {
                ReadOnlySpan<float> values = x.AsSpan((row * inputs) + left, width);
                Span<float> sums = means.AsSpan((labels[row] * inputs) + left, width);
                for (int i = 0; i < width; i++)
                {
                    sums[i] += values[i];
                }
            }
        });

        for (int c = 0; c < classes; c++)
        {
            for (int i = 0; i < inputs; i++)
            {
                means[(c * inputs) + i] /= Math.Max(counts[c], 1);
            }
        }

        // 2. The covariance around them. A class seen once says nothing of it.
        var residuals = new float[x.Length];
        Parallel.For(0, labels.Length, row =>
        {
            for (int i = 0; i < inputs; i++)
            {
                residuals[(row * inputs) + i] = x[(row * inputs) + i] - means[(labels[row] * inputs) + i];
            }
        });

        int freedom = Math.Max(1, labels.Length - counts.Count(static n => n > 0));
        double[] covariance = product.Correlate(residuals, inputs, residuals, inputs);
        double trace = 0;
        for (int i = 0; i < inputs; i++)
        {
            trace += covariance[(i * inputs) + i];
        }

        double isotropic = Math.Clamp(shrinkage + ((double)inputs / (inputs + freedom)), 0, 1);
        double mean = (trace / inputs / freedom) + 1e-9;
        for (int i = 0; i < covariance.Length; i++)
        {
            covariance[i] = (1 - isotropic) * covariance[i] / freedom;
        }

        for (int i = 0; i < inputs; i++)
        {
            covariance[(i * inputs) + i] += isotropic * mean;
        }

        // 3. weight_c = covariance⁻¹ · mean_c, bias_c = -mean_c · weight_c / 2.
        var factor = new CholeskyFactor(covariance, inputs);
        var inverse = new HostMatrix(inputs, inputs);
        Parallel.For(0, inputs, column =>
        {
            var unit = new double[inputs];
            unit[column] = 1;
            factor.Solve(unit);
            for (int i = 0; i < inputs; i++)
            {
                inverse.Values[(column * inputs) + i] = (float)unit[i];
            }
        });
        _weight = new HostMatrix(classes, inputs);
        product.Multiply(means, inverse, _weight.Values);
        _bias = new float[classes];
        for (int c = 0; c < classes; c++)
        {
            double sum = 0;
            for (int i = 0; i < inputs; i++)
            {
                sum += (double)means[(c * inputs) + i] * _weight.Values[(c * inputs) + i];
            }

            _bias[c] = counts[c] > 0 ? (float)(-sum / 2) : float.NegativeInfinity;
        }
    }

    /// <summary>Numbers per row.</summary>
    public int Inputs => _weight.Columns;

    /// <summary>Classes.</summary>
    public int Classes => _bias.Length;

    /// <summary>Scores of x: [rows, inputs]; calls <paramref name="use"/> with each row's [classes].</summary>
    public void Score(ReadOnlySpan<float> x, Action<int, float[]> use)
    {
        const int Chunk = 256;
        int inputs = Inputs;
        int rows = x.Length / inputs;
        var scores = new float[Math.Min(rows, Chunk) * Classes];
        var row = new float[Classes];
        for (int start = 0; start < rows; start += Chunk)
        {
            int count = Math.Min(Chunk, rows - start);
            _product.Multiply(x.Slice(start * inputs, count * inputs), _weight, scores.AsSpan(0, count * Classes));
            for (int i = 0; i < count; i++)
            {
                for (int c = 0; c < row.Length; c++)
                {
                    row[c] = scores[(i * Classes) + c] + _bias[c];
                }

                use(start + i, row);
            }
        }
    }
}
