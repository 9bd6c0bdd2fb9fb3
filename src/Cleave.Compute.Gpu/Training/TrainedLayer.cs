using Cleave.Compute.Training;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu.Training;

/// <summary>A layer in device memory; with room for its gradient and AdamW's moments when it is trained.</summary>
internal sealed class TrainedLayer : IDisposable
{
    private readonly DenseLayer _host;
    private readonly MemoryBuffer1D<float, Stride1D.Dense>[] _buffers;

    public TrainedLayer(GpuDevice device, DenseLayer host, bool trained)
    {
        _host = host;
        int weights = trained ? host.Weight.Values.Length : 1;
        int biases = trained ? host.Outputs : 1;
        long[] lengths = [host.Weight.Values.Length, host.Outputs, weights, biases, weights, weights, biases, biases];
        _buffers = [.. lengths.Select(device.Accelerator.Allocate1D<float>)];
        foreach (MemoryBuffer1D<float, Stride1D.Dense> buffer in _buffers)
        {
            buffer.MemSetToZero(device.Accelerator.DefaultStream);
        }

        HostCopy.ToDevice<float>(device.Accelerator.DefaultStream, host.Weight.Values, Weight);
        HostCopy.ToDevice<float>(device.Accelerator.DefaultStream, host.Bias, Bias);
    }

    public int Inputs => _host.Inputs;

    public int Outputs => _host.Outputs;

    public ArrayView<float> Weight => _buffers[0].View.BaseView;

    public ArrayView<float> Bias => _buffers[1].View.BaseView;

    public ArrayView<float> WeightGradient => _buffers[2].View.BaseView;

    public ArrayView<float> BiasGradient => _buffers[3].View.BaseView;

    public ArrayView<float> WeightFirst => _buffers[4].View.BaseView;

    public ArrayView<float> WeightSecond => _buffers[5].View.BaseView;

    public ArrayView<float> BiasFirst => _buffers[6].View.BaseView;

    public ArrayView<float> BiasSecond => _buffers[7].View.BaseView;

    /// <summary>Waits, and gives the weights back to whom they came from.</summary>
    public void Read(AcceleratorStream stream)
    {
        HostCopy.FromDevice<float>(stream, Weight, _host.Weight.Values);
        HostCopy.FromDevice<float>(stream, Bias, _host.Bias);
    }

    public void Dispose()
    {
        foreach (MemoryBuffer1D<float, Stride1D.Dense> buffer in _buffers)
        {
            buffer.Dispose();
        }
    }
}
