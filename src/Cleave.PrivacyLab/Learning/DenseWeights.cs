using Cleave.Compute;

namespace Cleave.PrivacyLab.Learning;

/// <summary>Stored weights as numbers.</summary>
internal static class DenseWeights
{
    /// <summary>All of a weight, dequantised: [outputs, inputs].</summary>
    public static float[] Read(IComputeDevice device, DeviceWeight weight)
    {
        var values = new float[weight.Outputs * weight.Inputs];
        int[] ids = [.. Enumerable.Range(0, weight.Outputs)];
        using DeviceTensor gathered = device.Allocate(ids.Length, weight.Inputs);
        device.Gather(weight, ids, 1, gathered);
        device.Download(gathered, ids.Length, values);
        return values;
    }
}
