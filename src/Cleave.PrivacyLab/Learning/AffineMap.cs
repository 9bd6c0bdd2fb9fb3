using Cleave.Compute;

namespace Cleave.PrivacyLab.Learning;

/// <summary>y = W · x + b.</summary>
/// <param name="Weight">[outputs, inputs].</param>
/// <param name="Bias">[outputs].</param>
public sealed record AffineMap(HostMatrix Weight, float[] Bias)
{
    /// <summary>Maps rows: x: [rows, inputs] to y: [rows, outputs].</summary>
    public void Apply(MatrixProduct product, ReadOnlySpan<float> x, Span<float> y)
    {
        product.Multiply(x, Weight, y);
        for (int start = 0; start < y.Length; start += Bias.Length)
        {
            Span<float> row = y.Slice(start, Bias.Length);
            for (int i = 0; i < row.Length; i++)
            {
                row[i] += Bias[i];
            }
        }
    }
}
