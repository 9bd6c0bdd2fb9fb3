using System.Numerics;
using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>
/// A dense layer with its gradient and AdamW's moments. Products run on the device; what is between them threads share in fixed pieces, so that
/// their number shows in no bit.
/// </summary>
internal sealed class TrainedLayer
{
    // Parameters a thread updates at a time, and columns it sums.
    private const int UpdateChunk = 1 << 16;
    private const int SumChunk = 512;

    private readonly HostMatrix _transposed;
    private readonly float[] _gradient;
    private readonly float[] _firstMoment;
    private readonly float[] _secondMoment;
    private readonly float[] _biasGradient;
    private readonly float[] _biasFirst;
    private readonly float[] _biasSecond;
    private float[] _dyTransposed = [];
    private HostMatrix _xTransposed = new(1, 1);

    /// <param name="layer">What is trained, in place.</param>
    public TrainedLayer(DenseLayer layer)
    {
        Layer = layer;
        int weights = layer.Weight.Values.Length;
        _transposed = new HostMatrix(layer.Inputs, layer.Outputs);
        _gradient = new float[weights];
        _firstMoment = new float[weights];
        _secondMoment = new float[weights];
        _biasGradient = new float[layer.Outputs];
        _biasFirst = new float[layer.Outputs];
        _biasSecond = new float[layer.Outputs];
    }

    /// <summary>The layer.</summary>
    public DenseLayer Layer { get; }

    /// <summary>Sets the gradient from dy: [rows, outputs] and x: [rows, inputs]; writes dx: [rows, inputs] unless it is null.</summary>
    public void Backward(MatrixProduct product, float[] x, float[] dy, float[]? dx, int rows)
    {
        int inputs = Layer.Inputs;
        int outputs = Layer.Outputs;

        // dW = dyᵀ · x.
        if (_xTransposed.Rows != inputs || _xTransposed.Columns != rows)
        {
            _xTransposed = new HostMatrix(inputs, rows);
            _dyTransposed = new float[outputs * rows];
        }

        Transposition.Apply(dy, 0, rows, outputs, _dyTransposed);
        Transposition.Apply(x, 0, rows, inputs, _xTransposed.Values);
        product.Multiply(_dyTransposed, _xTransposed, _gradient);
        Parallel.For(0, (outputs + SumChunk - 1) / SumChunk, chunk =>
        {
            int start = chunk * SumChunk;
            Span<float> sums = _biasGradient.AsSpan(start, Math.Min(SumChunk, outputs - start));
            sums.Clear();
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<float> values = dy.AsSpan((row * outputs) + start, sums.Length);
                for (int i = 0; i < sums.Length; i++)
                {
                    sums[i] += values[i];
                }
            }
        });

        // dx = dy · W.
        if (dx is not null)
        {
            Transposition.Apply(Layer.Weight.Values, 0, outputs, inputs, _transposed.Values);
            product.Multiply(dy.AsSpan(0, rows * outputs), _transposed, dx.AsSpan(0, rows * inputs));
        }
    }

    /// <summary>One AdamW update.</summary>
    public void Update(AdamStep step)
    {
        Update(Layer.Weight.Values, _gradient, _firstMoment, _secondMoment, step);
        Update(Layer.Bias, _biasGradient, _biasFirst, _biasSecond, step with { Keep = 1 });
    }

    private static void Update(float[] weights, float[] gradient, float[] first, float[] second, AdamStep step)
    {
        const float Beta1 = AdamOptions.Beta1;
        const float Beta2 = AdamOptions.Beta2;
        const float Epsilon = AdamOptions.Epsilon;
        var rate = new Vector<float>(step.Rate);
        var correction = new Vector<float>(step.Correction);
        var keep = new Vector<float>(step.Keep);
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
                w[i] = (step.Keep * w[i]) - (step.Rate * m[i] / (MathF.Sqrt(step.Correction * v[i]) + Epsilon));
            }
        });
    }
}
