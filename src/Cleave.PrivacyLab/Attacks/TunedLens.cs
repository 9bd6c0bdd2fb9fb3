using Cleave.Compute;
using Cleave.Compute.Training;
using Cleave.Models;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Reads the output without the tail's layers: a learned affine map takes the state leaving the worker to where the public final norm and LM
/// head can read it (Belrose et al. 2023, arXiv 2303.08112). With no pairs it is the identity: the logit lens.
/// </summary>
public sealed class TunedLens : IAttack, IDisposable
{
    private readonly MatrixProduct _product;
    private readonly DeviceWeight _lmHead;
    private readonly HostMatrix _lmHeadTransposed;
    private readonly float[] _norm;
    private readonly float _epsilon;
    private readonly int _width;
    private readonly DenseLayer _translator;
    private readonly bool _isTuned;

    /// <param name="product">Where to multiply.</param>
    /// <param name="source">The public model file.</param>
    /// <param name="pairs">States leaving the worker and tokens emitted after them; null for the logit lens.</param>
    /// <param name="options">Training.</param>
    public TunedLens(MatrixProduct product, IModelSource source, LabelledPairs? pairs, AdamOptions options)
    {
        _product = product;
        _width = source.Config.HiddenSize;
        _epsilon = source.Config.NormEpsilon;
        _lmHead = product.Device.LoadWeight([source.End(EndTensor.LmHead)]);
        using DeviceTensor norm = product.Device.LoadVector(source.End(EndTensor.FinalNorm), source.Config.NormWeightOffset);
        _norm = new float[_width];
        product.Device.Download(norm, 1, _norm);
        _lmHeadTransposed = new HostMatrix(_width, _lmHead.Outputs);
        Transposition.Apply(DenseWeights.Read(product.Device, _lmHead), 0, _lmHead.Outputs, _width, _lmHeadTransposed.Values);

        _translator = new DenseLayer(new HostMatrix(_width, _width), new float[_width]);
        for (int i = 0; i < _width; i++)
        {
            _translator.Weight.Row(i)[i] = 1;
        }

        _isTuned = pairs is not null;
        if (pairs is not null)
        {
            Train(pairs, options);
        }
    }

    /// <inheritdoc />
    public string Name => _isTuned ? "tuned-lens" : "logit-lens";

    /// <inheritdoc />
    public ThreatTier Tier => ThreatTier.T2;

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Output;

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views) => [.. views.Select(Recover)];

    /// <inheritdoc />
    public void Dispose() => _lmHead.Dispose();

    private AttackClaim Recover(WorkerView view)
    {
        int rows = view.Rows.Length;
        var claim = new AttackClaim(rows);
        (_, _, float[] logits) = Forward(view.AllLeaving);
        for (int row = 0; row < rows; row++)
        {
            BestFew.Find(logits.AsSpan(row * _lmHead.Outputs, _lmHead.Outputs), claim.Tokens(row));
        }

        return claim;
    }

    private void Train(LabelledPairs pairs, AdamOptions options)
    {
        var random = new Random(options.Seed);
        var translator = new TrainedLayer(_translator);
        int[] order = [.. Enumerable.Range(0, pairs.Count)];
        int batches = (pairs.Count + options.BatchSize - 1) / options.BatchSize;
        int steps = options.Steps(pairs.Count);
        AdamOptions undecayed = options with { WeightDecay = 0 };
        for (int step = 0; step < steps; step++)
        {
            if (step % batches == 0)
            {
                random.Shuffle(order);
            }

            int start = step % batches * options.BatchSize;
            int[] chosen = order[start..Math.Min(start + options.BatchSize, order.Length)];
            var x = new float[chosen.Length * _width];
            for (int i = 0; i < chosen.Length; i++)
            {
                pairs.Activations.AsSpan(chosen[i] * _width, _width).CopyTo(x.AsSpan(i * _width));
            }

            (float[] translated, float[] normed, float[] logits) = Forward(x);
            for (int i = 0; i < chosen.Length; i++)
            {
                Span<float> row = logits.AsSpan(i * _lmHead.Outputs, _lmHead.Outputs);
                Softmax.Apply(row);
                row[pairs.Tokens[chosen[i]]] -= 1;
                foreach (ref float value in row)
                {
                    value /= chosen.Length;
                }
            }

            var normedGradient = new float[normed.Length];
            _product.Multiply(logits, _lmHeadTransposed, normedGradient);
            translator.Backward(_product, x, NormGradient(translated, normedGradient), null, chosen.Length);
            translator.Update(undecayed.Step(step + 1, steps));
        }
    }

    private (float[] Translated, float[] Normed, float[] Logits) Forward(ReadOnlySpan<float> x)
    {
        int rows = x.Length / _width;
        var translated = new float[x.Length];
        _product.Apply(_translator, x, translated);
        var normed = new float[x.Length];
        for (int row = 0; row < rows; row++)
        {
            float scale = InverseRms(translated.AsSpan(row * _width, _width));
            for (int i = 0; i < _width; i++)
            {
                normed[(row * _width) + i] = translated[(row * _width) + i] * scale * _norm[i];
            }
        }

        var logits = new float[rows * _lmHead.Outputs];
        _product.Multiply(normed, _lmHead, logits);
        return (translated, normed, logits);
    }

    /// <summary>Gradient through y = x / rms(x) · w: (w·g − x̂ · mean(x̂ · w·g)) / rms, with x̂ = x / rms.</summary>
    private float[] NormGradient(float[] x, float[] gradient)
    {
        var result = new float[x.Length];
        for (int row = 0; row < x.Length / _width; row++)
        {
            Span<float> values = x.AsSpan(row * _width, _width);
            float scale = InverseRms(values);
            double dot = 0;
            for (int i = 0; i < _width; i++)
            {
                dot += (double)values[i] * scale * _norm[i] * gradient[(row * _width) + i];
            }

            float mean = (float)(dot / _width);
            for (int i = 0; i < _width; i++)
            {
                int at = (row * _width) + i;
                result[at] = scale * ((_norm[i] * gradient[at]) - (values[i] * scale * mean));
            }
        }

        return result;
    }

    private float InverseRms(ReadOnlySpan<float> x)
    {
        double sum = 0;
        foreach (float value in x)
        {
            sum += (double)value * value;
        }

        return (float)(1 / Math.Sqrt((sum / _width) + _epsilon));
    }
}
