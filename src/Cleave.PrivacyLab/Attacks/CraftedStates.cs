using Cleave.Compute;
using Cleave.Models;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// States that make a tail emit a token of the worker's choice. A residual stream passes what enters it on, whatever the layers add: a state
/// along the LM head's row, long enough, outweighs them, so it works on privately tuned layers too.
/// </summary>
public sealed class CraftedStates
{
    // Times the length of an honest state. Layers normalise their input, so what they add does not grow with it.
    private const double Length = 60;

    private readonly float[] _rows;
    private readonly float[] _norm;
    private readonly int _width;

    /// <param name="device">Reads the weights.</param>
    /// <param name="source">The public model file.</param>
    public CraftedStates(IComputeDevice device, IModelSource source)
    {
        _width = source.Config.HiddenSize;
        using DeviceWeight lmHead = device.LoadWeight([source.End(EndTensor.LmHead)]);
        using DeviceTensor norm = device.LoadVector(source.End(EndTensor.FinalNorm), source.Config.NormWeightOffset);
        _rows = DenseWeights.Read(device, lmHead);
        _norm = new float[_width];
        device.Download(norm, 1, _norm);

        // Tokens with long rows would win every direction near theirs: aim along the row less the mean row.
        double[] mean = Moments.Mean(_rows, _width);
        for (int i = 0; i < _rows.Length; i++)
        {
            _rows[i] = (float)(_rows[i] - mean[i % _width]);
        }
    }

    /// <summary>Writes a state for <paramref name="token"/>, scaled to an <paramref name="honest"/> one.</summary>
    public void Write(int token, ReadOnlySpan<float> honest, Span<float> crafted)
    {
        double honestSquares = 0;
        double squares = 0;
        for (int i = 0; i < _width; i++)
        {
            crafted[i] = _rows[(token * _width) + i] * _norm[i];
            squares += (double)crafted[i] * crafted[i];
            honestSquares += (double)honest[i] * honest[i];
        }

        float scale = (float)(Length * Math.Sqrt(honestSquares / Math.Max(squares, 1e-12)));
        for (int i = 0; i < _width; i++)
        {
            crafted[i] *= scale;
        }
    }
}
