namespace Cleave.Compute.Tests;

/// <summary>One device operation on host numbers.</summary>
internal static class Run
{
    public static DeviceTensor Upload(IComputeDevice device, float[] numbers, int rows)
    {
        DeviceTensor tensor = device.Allocate(rows, numbers.Length / rows);
        device.Upload(numbers, tensor, rows);
        return tensor;
    }

    public static float[] Download(IComputeDevice device, DeviceTensor tensor, int rows)
    {
        var numbers = new float[rows * tensor.ColumnCount];
        device.Download(tensor, rows, numbers);
        return numbers;
    }

    public static float[] MatMul(IComputeDevice device, Matrix matrix, float[] x, int rows, float[]? bias = null)
    {
        using DeviceWeight weight = device.LoadWeight([matrix.Data]);
        return MatMul(device, weight, x, rows, bias);
    }

    public static float[] MatMul(IComputeDevice device, DeviceWeight weight, float[] x, int rows, float[]? bias = null)
    {
        using DeviceTensor input = Upload(device, x, rows);
        using DeviceTensor output = device.Allocate(rows, weight.Outputs);
        using DeviceTensor? addend = bias is null ? null : Upload(device, bias, 1);
        device.MatMul(input, weight, addend, output, rows);
        return Download(device, output, rows);
    }
}
