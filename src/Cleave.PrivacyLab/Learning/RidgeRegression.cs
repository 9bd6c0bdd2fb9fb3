using Cleave.Compute;
using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>Least squares with an L2 penalty, in closed form: W = (Xᵀ X + ridge · I)⁻¹ Xᵀ Y on centred data.</summary>
internal sealed class RidgeRegression
{
    private readonly int _inputs;
    private readonly int _outputs;
    private readonly double[] _gram;
    private readonly double[] _cross;
    private readonly double[] _meanX;
    private readonly double[] _meanY;

    /// <summary>Gathers the moments. x: [rows, inputs], y: [rows, outputs].</summary>
    public RidgeRegression(MatrixProduct product, float[] x, int inputs, float[] y, int outputs)
    {
        _inputs = inputs;
        _outputs = outputs;
        int rows = x.Length / inputs;
        _meanX = Moments.Mean(x, inputs);
        _meanY = Moments.Mean(y, outputs);
        _gram = product.Correlate(x, inputs, x, inputs);
        _cross = product.Correlate(x, inputs, y, outputs);
        for (int i = 0; i < inputs; i++)
        {
            for (int j = 0; j < inputs; j++)
            {
                _gram[(i * inputs) + j] -= rows * _meanX[i] * _meanX[j];
            }

            for (int j = 0; j < outputs; j++)
            {
                _cross[(i * outputs) + j] -= rows * _meanX[i] * _meanY[j];
            }
        }
    }

    /// <summary>The map for a penalty given as a share of the mean variance of the inputs.</summary>
    public DenseLayer Solve(double relativeRidge)
    {
        double[] penalised = [.. _gram];
        double trace = 0;
        for (int i = 0; i < _inputs; i++)
        {
            trace += _gram[(i * _inputs) + i];
        }

        double ridge = (relativeRidge * trace / _inputs) + 1e-12;
        for (int i = 0; i < _inputs; i++)
        {
            penalised[(i * _inputs) + i] += ridge;
        }

        var factor = new CholeskyFactor(penalised, _inputs);
        var weight = new HostMatrix(_outputs, _inputs);
        var bias = new float[_outputs];
        Parallel.For(0, _outputs, output =>
        {
            var column = new double[_inputs];
            for (int i = 0; i < _inputs; i++)
            {
                column[i] = _cross[(i * _outputs) + output];
            }

            factor.Solve(column);
            double offset = _meanY[output];
            for (int i = 0; i < _inputs; i++)
            {
                weight.Values[(output * _inputs) + i] = (float)column[i];
                offset -= column[i] * _meanX[i];
            }

            bias[output] = (float)offset;
        });
        return new DenseLayer(weight, bias);
    }
}
