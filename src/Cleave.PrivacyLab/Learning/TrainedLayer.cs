using System.Numerics;
using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.PrivacyLab.Learning;

/// <summary>A dense layer with its gradient and AdamW's moments. All products run on the device.</summary>
internal sealed class TrainedLayer
{
    private const float Beta1 = 0.9f;
    private const float Beta2 = 0.999f;
    private const float Epsilon = 1e-8f;

    // Parameters a thread updates at a time.
    private const int UpdateChunk = 1 << 16;

    private readonly HostMatrix _transposed;
    private readonly float[] _gradient;
    private readonly float[] _firstMoment;
    private readonly float[] _secondMoment;
    private readonly float[] _biasGradient;
    private readonly float[] _biasFirst;
    private readonly float[] _biasSecond;

    public TrainedLayer(int inputs, int outputs, Random random)
    {
        Weight = new HostMatrix(outputs, inputs);
        Bias = new float[outputs];
        _transposed = new HostMatrix(inputs, outputs);
        _gradient = new float[Weight.Values.Length];
        _firstMoment = new float[Weight.Values.Length];
        _secondMoment = new float[Weight.Values.Length];
        _biasGradient = new float[outputs];
        _biasFirst = new float[outputs];
        _biasSecond = new float[outputs];
        float bound = MathF.Sqrt(6f / inputs); // He et al. 2015, uniform
        for (int i = 0; i < Weight.Values.Length; i++)
        {
            Weight.Values[i] = ((2 * random.NextSingle()) - 1) * bound;
        }
    }

    /// <summary>[outputs, inputs].</summary>
    public HostMatrix Weight { get; }

    /// <summary>[outputs].</summary>
    public float[] Bias { get; }

    public int Inputs => Weight.Columns;

    public int Outputs => Weight.Rows;

    /// <summary>y = x · Wᵀ + b.</summary>
    public void Forward(MatrixProduct product, ReadOnlySpan<float> x, Span<float> y) => new AffineMap(Weight, Bias).Apply(product, x, y);

    /// <summary>Sets the gradient from dy: [rows, outputs] and x: [rows, inputs]; writes dx unless it is empty.</summary>
    public void Backward(MatrixProduct product, ReadOnlySpan<float> x, ReadOnlySpan<float> dy, Span<float> dx)
    {
        int rows = x.Length / Inputs;

        // dW = dyᵀ · x.
        var dyTransposed = new float[dy.Length];
        var xTransposed = new HostMatrix(Inputs, rows);
        Transposition.Apply(dy, rows, Outputs, dyTransposed);
        Transposition.Apply(x, rows, Inputs, xTransposed.Values);
        product.Multiply(dyTransposed, xTransposed, _gradient);
        Array.Clear(_biasGradient);
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < Outputs; i++)
            {
                _biasGradient[i] += dy[(row * Outputs) + i];
            }
        }

        // dx = dy · W.
        if (!dx.IsEmpty)
        {
            Transposition.Apply(Weight.Values, Outputs, Inputs, _transposed.Values);
            product.Multiply(dy, _transposed, dx);
        }
    }

    /// <summary>One AdamW update; <paramref name="step"/> counts from 1.</summary>
    public void Update(double learningRate, double weightDecay, int step)
    {
        Update(Weight.Values, _gradient, _firstMoment, _secondMoment, learningRate, weightDecay, step);
        Update(Bias, _biasGradient, _biasFirst, _biasSecond, learningRate, 0, step);
    }

    private static void Update(float[] weights, float[] gradient, float[] first, float[] second, double learningRate, double weightDecay, int step)
    {
        var rate = new Vector<float>((float)(learningRate / (1 - Math.Pow(Beta1, step))));
        var correction = new Vector<float>((float)(1 / (1 - Math.Pow(Beta2, step))));
        var keep = new Vector<float>((float)(1 - (learningRate * weightDecay)));
        int chunks = (weights.Length + UpdateChunk - 1) / UpdateChunk;
        Parallel.For(0, chunks, chunk =>
        {
            int start = chunk * UpdateChunk;
            int length = Math.Min(UpdateChunk, weights.Length - start);
            Span<float> w = weights.AsSpan(start, length);
            Span<float> g = gradient.AsSpan(start, length);
            Span<float> m = first.AsSpan(start, length);
            Span<float> v = second.AsSpan(start, length);
            Span<Vector<float>> wv = MemoryMarshal.Cast<float, Vector<float>>(w);
            Span<Vector<float>> gv = MemoryMarshal.Cast<float, Vector<float>>(g);
            Span<Vector<float>> mv = MemoryMarshal.Cast<float, Vector<float>>(m);
            Span<Vector<float>> vv = MemoryMarshal.Cast<float, Vector<float>>(v);
            for (int i = 0; i < wv.Length; i++)
            {
                mv[i] = (Beta1 * mv[i]) + ((1 - Beta1) * gv[i]);
                vv[i] = (Beta2 * vv[i]) + ((1 - Beta2) * gv[i] * gv[i]);
                wv[i] = (keep * wv[i]) - (rate * mv[i] / (Vector.SquareRoot(correction * vv[i]) + new Vector<float>(Epsilon)));
            }

            for (int i = wv.Length * Vector<float>.Count; i < w.Length; i++)
            {
                m[i] = (Beta1 * m[i]) + ((1 - Beta1) * g[i]);
                v[i] = (Beta2 * v[i]) + ((1 - Beta2) * g[i] * g[i]);
                w[i] = (keep[0] * w[i]) - (rate[0] * m[i] / (MathF.Sqrt(correction[0] * v[i]) + Epsilon));
            }
        });
    }
}
