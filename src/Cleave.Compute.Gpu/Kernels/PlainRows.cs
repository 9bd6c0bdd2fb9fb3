using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>Sizes of a row-wise operation; strides in floats.</summary>
internal struct RowShape
{
    public int Rows;
    public int Columns;
    public int XStride;
    public int YStride;
    public int ZStride;
    public int Groups;
    public int WeightPerGroup;
    public int Kind;
    public float Scale;
    public float Epsilon;
}

/// <summary>Element-wise operations and the norm, one thread an element, no barriers.</summary>
internal static class PlainRows
{
    public const int NormParts = 64;

    /// <summary>parts[row, group, part] = sum of squares of one of 64 fixed parts of the group.</summary>
    public static void NormPart(ArrayView<float> x, ArrayView<float> parts, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Groups * NormParts)
        {
            return;
        }

        int part = index % NormParts;
        int group = index / NormParts % shape.Groups;
        int row = index / NormParts / shape.Groups;
        int width = shape.Columns / shape.Groups;
        int length = (width + NormParts - 1) / NormParts;
        int start = part * length;
        int end = IntrinsicMath.Min(start + length, width);
        long at = ((long)row * shape.XStride) + (group * width);
        float sum = 0;
        for (int i = start; i < end; i++)
        {
            float value = x[at + i];
            sum += value * value;
        }

        parts[index] = sum;
    }

    /// <summary>y = x / sqrt(mean square + epsilon) · weight, the parts summed in ascending order.</summary>
    public static void NormApply(ArrayView<float> x, ArrayView<float> parts, ArrayView<float> weight, ArrayView<float> y, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Columns)
        {
            return;
        }

        int row = index / shape.Columns;
        int column = index % shape.Columns;
        int width = shape.Columns / shape.Groups;
        long at = ((long)(row * shape.Groups) + (column / width)) * NormParts;
        float sum = 0;
        for (int part = 0; part < NormParts; part++)
        {
            sum += parts[at + part];
        }

        float scale = 1 / MathF.Sqrt((sum / width) + shape.Epsilon);
        int w = shape.WeightPerGroup != 0 ? column % width : column;
        y[((long)row * shape.YStride) + column] = x[((long)row * shape.XStride) + column] * scale * weight[w];
    }

    public static void Gate(ArrayView<float> gate, ArrayView<float> up, ArrayView<float> y, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Columns)
        {
            return;
        }

        int row = index / shape.Columns;
        int column = index % shape.Columns;
        y[((long)row * shape.ZStride) + column] =
            KernelMath.Activate(gate[((long)row * shape.XStride) + column], shape.Kind) * up[((long)row * shape.YStride) + column];
    }

    public static void Add(ArrayView<float> x, ArrayView<float> y, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Columns)
        {
            return;
        }

        int row = index / shape.Columns;
        int column = index % shape.Columns;
        x[((long)row * shape.XStride) + column] += shape.Scale * y[((long)row * shape.YStride) + column];
    }

    /// <summary>Epsilon holds the cap.</summary>
    public static void ScaleAndCap(ArrayView<float> x, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Columns)
        {
            return;
        }

        long at = ((long)(index / shape.Columns) * shape.XStride) + (index % shape.Columns);
        float value = x[at] * shape.Scale;
        x[at] = shape.Epsilon > 0 ? shape.Epsilon * KernelMath.Tanh(value / shape.Epsilon) : value;
    }

    public static void Clear(ArrayView<float> x, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            x[((long)(index / shape.Columns) * shape.XStride) + (index % shape.Columns)] = 0;
        }
    }

    public static void CopyRows(ArrayView<float> source, ArrayView<int> indices, ArrayView<float> destination, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            int row = index / shape.Columns;
            int column = index % shape.Columns;
            destination[((long)row * shape.YStride) + column] = source[((long)indices[row] * shape.XStride) + column];
        }
    }

    public static void ScatterAdd(
        ArrayView<float> source, ArrayView<int> indices, ArrayView<float> scales, ArrayView<float> destination, RowShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            int row = index / shape.Columns;
            int column = index % shape.Columns;
            destination[((long)indices[row] * shape.YStride) + column] += scales[row] * source[((long)row * shape.XStride) + column];
        }
    }
}
