using System.Runtime.InteropServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Zeroed native memory on a 64-byte border, with 64 bytes to spare behind it. Large buffers take physical memory page by
/// page, when first written.
/// </summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const int Alignment = 64;
    private void* _allocation;

    public NativeBuffer(long byteLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(byteLength);
        ByteLength = byteLength;
        _allocation = NativeMemory.AllocZeroed(checked((nuint)byteLength + (2 * Alignment)));
        Pointer = (byte*)(((nuint)_allocation + Alignment - 1) & ~(nuint)(Alignment - 1));
    }

    ~NativeBuffer() => Free();

    public long ByteLength { get; }

    /// <summary>First byte; null once disposed.</summary>
    public byte* Pointer { get; private set; }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.Free(_allocation);
        _allocation = null;
        Pointer = null;
    }
}
