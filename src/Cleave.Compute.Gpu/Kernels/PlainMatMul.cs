using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>Sizes of a product. Strides in elements of their buffers.</summary>
internal struct MatMulShape
{
    public int Rows;
    public int Inputs;
    public int Outputs;
    public int RowUnits;
    public int XStride;
    public int YStride;
    public int HasBias;
}

/// <summary>
/// The product for any device. Canonical schedule: K in <see cref="Shares"/> fixed shares, each accumulated from zero in ascending
/// order by one thread, summed in ascending order. No barriers: a thread owns an output (and up to four rows), so that the
/// CPU accelerator, which emulates barriers slowly, runs it too.
/// </summary>
internal static class PlainMatMul
{
    public const int Shares = 8;
    public const int RowTile = 4;

    /// <summary>Length of a share: whole quantisation blocks of 32.</summary>
    public static int ShareLength(int inputs) => ((inputs + (Shares * 32) - 1) / (Shares * 32)) * 32;

    /// <summary>partial[share, row, output].</summary>
    public static void Partial<TReader>(ArrayView<float> x, ArrayView<ushort> weight, ArrayView<float> partial, MatMulShape shape)
        where TReader : unmanaged, IWeightReader
    {
        int index = Grid.GlobalIndex.X;
        int tiles = (shape.Rows + RowTile - 1) / RowTile;
        if (index >= shape.Outputs * tiles * Shares)
        {
            return;
        }

        int output = index % shape.Outputs;
        int share = index / shape.Outputs % Shares;
        int row = index / shape.Outputs / Shares * RowTile;
        int last = shape.Rows - 1;
        int length = ((shape.Inputs + (Shares * 32) - 1) / (Shares * 32)) * 32;
        int start = share * length;
        int end = IntrinsicMath.Min(start + length, shape.Inputs);
        TReader reader = default;
        long at = (long)output * shape.RowUnits;
        long x0 = (long)row * shape.XStride;
        long x1 = (long)IntrinsicMath.Min(row + 1, last) * shape.XStride;
        long x2 = (long)IntrinsicMath.Min(row + 2, last) * shape.XStride;
        long x3 = (long)IntrinsicMath.Min(row + 3, last) * shape.XStride;
        float a0 = 0;
        float a1 = 0;
        float a2 = 0;
        float a3 = 0;
        for (int k = start; k < end; k++)
        {
            float w = reader.Read(weight, at, k);
            a0 += x[x0 + k] * w;
            a1 += x[x1 + k] * w;
            a2 += x[x2 + k] * w;
            a3 += x[x3 + k] * w;
        }

        long to = (((long)share * shape.Rows) + row) * shape.Outputs + output;
        partial[to] = a0;
        if (row + 1 <= last)
        {
            partial[to + shape.Outputs] = a1;
        }

        if (row + 2 <= last)
        {
            partial[to + (2L * shape.Outputs)] = a2;
        }

        if (row + 3 <= last)
        {
            partial[to + (3L * shape.Outputs)] = a3;
        }
    }

    /// <summary>y[row, output] = sum of the shares in ascending order, plus bias.</summary>
    public static void Sum(ArrayView<float> partial, ArrayView<float> bias, ArrayView<float> y, MatMulShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Outputs)
        {
            return;
        }

        int row = index / shape.Outputs;
        int output = index % shape.Outputs;
        float sum = 0;
        for (int share = 0; share < Shares; share++)
        {
            sum += partial[((long)share * shape.Rows * shape.Outputs) + index];
        }

        y[((long)row * shape.YStride) + output] = shape.HasBias != 0 ? sum + bias[output] : sum;
    }

    /// <summary>destination[row] = decoded weight row ids[row], times scale. shape: Rows, Inputs, RowUnits, YStride.</summary>
    public static void Gather<TReader>(ArrayView<ushort> weight, ArrayView<int> ids, ArrayView<float> destination, MatMulShape shape, float scale)
        where TReader : unmanaged, IWeightReader
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Inputs)
        {
            return;
        }

        int row = index / shape.Inputs;
        int column = index % shape.Inputs;
        TReader reader = default;
        destination[((long)row * shape.YStride) + column] = reader.Read(weight, (long)ids[row] * shape.RowUnits, column) * scale;
    }
}
