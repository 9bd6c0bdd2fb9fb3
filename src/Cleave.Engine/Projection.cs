using Cleave.Compute;

namespace Cleave.Engine;

/// <summary>
/// One or more weight matrices that read the same input, their outputs side by side: [rows, inputs] -> [rows, sum of outputs].
/// Neighbours of equal element type are stacked into one product.
/// </summary>
internal sealed class Projection : IDisposable
{
    private readonly List<(DeviceWeight Weight, DeviceTensor? Bias, int Start)> _parts = [];

    public Projection(IComputeDevice device, IReadOnlyList<TensorData> weights, IReadOnlyList<TensorData?> biases)
    {
        try
        {
            int first = 0;
            while (first < weights.Count)
            {
                int end = first + 1;
                while (end < weights.Count && weights[end].Type == weights[first].Type)
                {
                    end++;
                }

                TensorData[] stacked = [.. weights.Skip(first).Take(end - first)];
                int outputs = checked((int)stacked.Sum(w => w.Rows));
                DeviceWeight weight = device.LoadWeight(stacked);
                _parts.Add((weight, null, Outputs));
                _parts[^1] = (weight, LoadBias(device, stacked, [.. biases.Skip(first).Take(end - first)], outputs), Outputs);
                ReleaseCopied(weight, stacked);
                Outputs += outputs;
                first = end;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int Outputs { get; }

    /// <summary>y = x · Wᵀ + bias.</summary>
    public void Run(IComputeDevice device, DeviceTensor x, DeviceTensor y, int rows)
    {
        if (_parts.Count == 1)
        {
            device.MatMul(x, _parts[0].Weight, _parts[0].Bias, y, rows);
            return;
        }

        foreach ((DeviceWeight weight, DeviceTensor? bias, int start) in _parts)
        {
            device.MatMul(x, weight, bias, y.Columns(start, weight.Outputs), rows);
        }
    }

    /// <summary>residual += scale · (x · Wᵀ + bias); <paramref name="scratch"/> is the device's to use.</summary>
    public void RunAdd(IComputeDevice device, DeviceTensor x, DeviceTensor scratch, float scale, DeviceTensor residual, int rows)
    {
        if (_parts.Count == 1)
        {
            device.MatMulAdd(x, _parts[0].Weight, _parts[0].Bias, scratch, scale, residual, rows);
            return;
        }

        Run(device, x, scratch, rows);
        device.Add(residual, scratch, scale, rows);
    }

    public void Dispose()
    {
        foreach ((DeviceWeight weight, DeviceTensor? bias, _) in _parts)
        {
            weight.Dispose();
            bias?.Dispose();
        }
    }

    /// <summary>
    /// Gives back what was made for a device on the way (a matrix quantised at load) once the device has its own copy, so that it need not
    /// wait for the collector.
    /// </summary>
    public static void ReleaseCopied(DeviceWeight weight, IEnumerable<TensorData> tensors)
    {
        if (weight.DeviceBytes > 0)
        {
            foreach (TensorData tensor in tensors)
            {
                tensor.Release();
            }
        }
    }

    private static DeviceTensor? LoadBias(IComputeDevice device, TensorData[] weights, TensorData?[] biases, int outputs)
    {
        if (biases.All(b => b is null))
        {
            return null;
        }

        var values = new float[outputs];
        int start = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            int length = checked((int)weights[i].Rows);
            if (biases[i] is { } bias)
            {
                using DeviceTensor loaded = device.LoadVector(bias);
                device.Download(loaded, 1, values.AsSpan(start, length));
            }

            start += length;
        }

        DeviceTensor stacked = device.Allocate(1, outputs);
        device.Upload(values, stacked, 1);
        return stacked;
    }
}
