namespace Cleave.PrivacyLab.Learning;

/// <summary>Cholesky factor L of a symmetric positive definite matrix: A = L · Lᵀ.</summary>
internal sealed class CholeskyFactor
{
    private readonly double[] _lower;
    private readonly int _size;

    /// <param name="matrix">[size, size].</param>
    /// <param name="size">Rows.</param>
    /// <exception cref="ArithmeticException">The matrix is not positive definite.</exception>
    public CholeskyFactor(ReadOnlySpan<double> matrix, int size)
    {
        _size = size;
        _lower = matrix.ToArray();
        for (int row = 0; row < size; row++)
        {
            Span<double> target = _lower.AsSpan(row * size, size);
            for (int column = 0; column <= row; column++)
            {
                ReadOnlySpan<double> other = _lower.AsSpan(column * size, size);
                double sum = target[column];
                for (int k = 0; k < column; k++)
                {
                    sum -= target[k] * other[k];
                }

                if (column < row)
                {
                    target[column] = sum / other[column];
                }
                else
                {
                    target[row] = sum > 0 ? Math.Sqrt(sum) : throw new ArithmeticException($"pivot {row} of the matrix is {sum}; raise the ridge");
                }
            }
        }
    }

    /// <summary>log of the determinant of A.</summary>
    public double LogDeterminant
    {
        get
        {
            double sum = 0;
            for (int i = 0; i < _size; i++)
            {
                sum += 2 * Math.Log(_lower[(i * _size) + i]);
            }

            return sum;
        }
    }

    /// <summary>Solves A · x = b in place.</summary>
    public void Solve(Span<double> b)
    {
        SolveLower(b);
        for (int row = _size - 1; row >= 0; row--)
        {
            double sum = b[row];
            for (int k = row + 1; k < _size; k++)
            {
                sum -= _lower[(k * _size) + row] * b[k];
            }

            b[row] = sum / _lower[(row * _size) + row];
        }
    }

    /// <summary>Solves L · x = b in place.</summary>
    public void SolveLower(Span<double> b)
    {
        for (int row = 0; row < _size; row++)
        {
            double sum = b[row];
            ReadOnlySpan<double> lower = _lower.AsSpan(row * _size, row);
            for (int k = 0; k < row; k++)
            {
                sum -= lower[k] * b[k];
            }

            b[row] = sum / _lower[(row * _size) + row];
        }
    }
}
