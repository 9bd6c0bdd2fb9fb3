using Cleave.Compute;
using Cleave.Models.Storage;

namespace Cleave.Inference.Tests.Devices;

/// <summary>A device that notes how much memory made for weights the host holds whenever one is loaded.</summary>
internal sealed class WatchedDevice(IComputeDevice inner) : DecoratedDevice(inner)
{
    public long PeakHostBytes { get; private set; }

    public override DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked)
    {
        PeakHostBytes = Math.Max(PeakHostBytes, NativeBlock.LiveBytes);
        return base.LoadWeight(stacked);
    }
}
