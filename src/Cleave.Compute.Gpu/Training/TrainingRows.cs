using Cleave.Compute.Gpu.Kernels;
using Cleave.Compute.Training;
using ILGPU;

namespace Cleave.Compute.Gpu.Training;

/// <summary>Sizes of an operation over rows of a batch.</summary>
internal struct BatchShape
{
    public int Rows;
    public int Columns;
    public int First;
}

/// <summary>What training does between products. Every sum has one fixed order.</summary>
internal static class TrainingRows
{
    public const int GroupSize = 128;

    /// <summary>batch[i] = (rows[order[First + i]] - mean) · scale.</summary>
    public static void Pick(ArrayView<float> rows, ArrayView<int> order, ArrayView<float> mean, ArrayView<float> scale, ArrayView<float> batch, BatchShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            int column = index % shape.Columns;
            int row = order[shape.First + (index / shape.Columns)];
            batch[index] = (rows[((long)row * shape.Columns) + column] - mean[column]) * scale[column];
        }
    }

    /// <summary>y += bias, and nothing below zero.</summary>
    public static void Rectify(ArrayView<float> y, ArrayView<float> bias, BatchShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            float value = y[index] + bias[index % shape.Columns];
            y[index] = value > 0 ? value : 0;
        }
    }

    /// <summary>y += bias.</summary>
    public static void AddBias(ArrayView<float> y, ArrayView<float> bias, BatchShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns)
        {
            y[index] += bias[index % shape.Columns];
        }
    }

    /// <summary>Where the layer below gave nothing, nothing goes back.</summary>
    public static void Mask(ArrayView<float> gradient, ArrayView<float> activation, BatchShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index < shape.Rows * shape.Columns && activation[index] <= 0)
        {
            gradient[index] = 0;
        }
    }

    /// <summary>Scores without their bias to the gradient of the mean cross entropy; a group has a row.</summary>
    public static void Loss(ArrayView<float> scores, ArrayView<float> bias, ArrayView<int> labels, ArrayView<int> order, BatchShape shape)
    {
        ArrayView<float> parts = SharedMemory.Allocate<float>(GroupSize);
        int thread = Group.IdxX;
        long at = (long)Grid.IdxX * shape.Columns;
        float largest = float.NegativeInfinity;
        for (int column = thread; column < shape.Columns; column += GroupSize)
        {
            float score = scores[at + column] + bias[column];
            scores[at + column] = score;
            largest = score > largest ? score : largest;
        }

        parts[thread] = largest;
        Group.Barrier();
        for (int i = 0; i < GroupSize; i++)
        {
            largest = parts[i] > largest ? parts[i] : largest;
        }

        Group.Barrier();
        float sum = 0;
        for (int column = thread; column < shape.Columns; column += GroupSize)
        {
            float part = KernelMath.Exp(scores[at + column] - largest);
            scores[at + column] = part;
            sum += part;
        }

        parts[thread] = sum;
        Group.Barrier();
        sum = 0;
        for (int i = 0; i < GroupSize; i++)
        {
            sum += parts[i];
        }

        int label = labels[order[shape.First + Grid.IdxX]];
        float share = 1.0f / shape.Rows;
        float factor = share / sum;
        for (int column = thread; column < shape.Columns; column += GroupSize)
        {
            scores[at + column] = (scores[at + column] * factor) - (column == label ? share : 0);
        }
    }

    /// <summary>sums[column] over the rows of a gradient, in ascending order.</summary>
    public static void SumRows(ArrayView<float> gradient, ArrayView<float> sums, BatchShape shape)
    {
        int column = Grid.GlobalIndex.X;
        if (column < shape.Columns)
        {
            float sum = 0;
            for (int row = 0; row < shape.Rows; row++)
            {
                sum += gradient[((long)row * shape.Columns) + column];
            }

            sums[column] = sum;
        }
    }

    /// <summary>One update of AdamW.</summary>
    public static void Update(
        ArrayView<float> weights, ArrayView<float> gradient, ArrayView<float> first, ArrayView<float> second, float rate, float correction, float keep)
    {
        int index = Grid.GlobalIndex.X;
        if (index < weights.IntLength)
        {
            float g = gradient[index];
            float m = (AdamOptions.Beta1 * first[index]) + ((1 - AdamOptions.Beta1) * g);
            float v = (AdamOptions.Beta2 * second[index]) + ((1 - AdamOptions.Beta2) * g * g);
            first[index] = m;
            second[index] = v;
            weights[index] = (keep * weights[index]) - (rate * m / (MathF.Sqrt(correction * v) + AdamOptions.Epsilon));
        }
    }
}
