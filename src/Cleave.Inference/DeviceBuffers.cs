using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using Cleave.Compute;

namespace Cleave.Inference;

/// <summary>Buffers that grow to the largest step seen.</summary>
internal static class DeviceBuffers
{
    public static void Ensure(IComputeDevice device, [NotNull] ref DeviceTensor? tensor, int rows, int columns)
    {
        if (tensor is null || tensor.RowCapacity < rows)
        {
            tensor?.Dispose();
            tensor = device.Allocate((int)BitOperations.RoundUpToPowerOf2((uint)rows), columns);
        }
    }

    public static void Ensure<T>(ref T[] array, int length)
    {
        if (array.Length < length)
        {
            Array.Resize(ref array, Math.Max(length, 2 * array.Length));
        }
    }
}
