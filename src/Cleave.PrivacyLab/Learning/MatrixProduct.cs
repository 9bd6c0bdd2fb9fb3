using System.Diagnostics.CodeAnalysis;
using Cleave.Compute;
using Cleave.Compute.Training;

namespace Cleave.PrivacyLab.Learning;

/// <summary>Products of host matrices on a compute device: the training loops are written in these.</summary>
/// <param name="device">Where to multiply. The CPU reads weights in place; other devices copy them at every call that loads one.</param>
public sealed class MatrixProduct(IComputeDevice device) : IDisposable
{
    // Rows multiplied at once: bounds the staging buffers.
    private const int ChunkRows = 2048;

    private DeviceTensor? _x;
    private DeviceTensor? _y;

    /// <summary>The device.</summary>
    public IComputeDevice Device => device;

    /// <summary>y = x · wᵀ. x: [rows, inputs], y: [rows, outputs].</summary>
    public void Multiply(ReadOnlySpan<float> x, HostMatrix weight, Span<float> y)
    {
        using DeviceWeight loaded = device.LoadWeight([weight.Tensor]);
        Multiply(x, loaded, y);
    }

    /// <summary>y = x · wᵀ. x: [rows, inputs], y: [rows, outputs].</summary>
    public void Multiply(ReadOnlySpan<float> x, DeviceWeight weight, Span<float> y)
    {
        int rows = x.Length / weight.Inputs;
        for (int start = 0; start < rows; start += ChunkRows)
        {
            int count = Math.Min(ChunkRows, rows - start);
            DeviceTensor input = Ensure(ref _x, count, weight.Inputs);
            DeviceTensor output = Ensure(ref _y, count, weight.Outputs);
            device.Upload(x.Slice(start * weight.Inputs, count * weight.Inputs), input, count);
            device.MatMul(input, weight, null, output, count);
            device.Download(output, count, y.Slice(start * weight.Outputs, count * weight.Outputs));
        }
    }

    /// <summary>A layer's output: x: [rows, inputs] to y: [rows, outputs].</summary>
    public void Apply(DenseLayer layer, ReadOnlySpan<float> x, Span<float> y)
    {
        Multiply(x, layer.Weight, y);
        for (int start = 0; start < y.Length; start += layer.Outputs)
        {
            Span<float> row = y.Slice(start, layer.Outputs);
            for (int i = 0; i < row.Length; i++)
            {
                row[i] += layer.Bias[i];
            }
        }
    }

    /// <summary>xᵀ · y in double: x: [rows, a], y: [rows, b], result: [a, b].</summary>
    public double[] Correlate(float[] x, int a, float[] y, int b)
    {
        var sum = new double[a * b];
        var product = new float[a * b];
        float[] left = [];
        HostMatrix? right = null;
        int rows = x.Length / a;
        for (int start = 0; start < rows; start += ChunkRows)
        {
            // Short sums in float, their sum in double.
            int count = Math.Min(ChunkRows, rows - start);
            if (right?.Columns != count)
            {
                left = new float[a * count];
                right = new HostMatrix(b, count);
            }

            Transposition.Apply(x, start * a, count, a, left);
            Transposition.Apply(y, start * b, count, b, right.Values);
            Multiply(left, right, product);
            for (int i = 0; i < sum.Length; i++)
            {
                sum[i] += product[i];
            }
        }

        return sum;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _x?.Dispose();
        _y?.Dispose();
    }

    private DeviceTensor Ensure([NotNull] ref DeviceTensor? tensor, int rows, int columns)
    {
        if (tensor is null || tensor.RowCapacity < rows || tensor.ColumnCount != columns)
        {
            tensor?.Dispose();
            tensor = device.Allocate(rows, columns);
        }

        return tensor;
    }
}
