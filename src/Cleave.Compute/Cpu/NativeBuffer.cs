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

    /// <param name="byteLength">Bytes wanted.</param>
    /// <param name="weights">Asks for huge pages, on whose border it then lies: for what every step reads from end to end.</param>
    public NativeBuffer(long byteLength, bool weights = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(byteLength);
        ByteLength = byteLength;
        bool huge = weights && byteLength >= HugePages.Size;
        int border = huge ? HugePages.Size : Alignment;
        _allocation = NativeMemory.AllocZeroed(checked((nuint)byteLength + (nuint)border + Alignment));
        Pointer = (byte*)(((nuint)_allocation + (nuint)border - 1) & ~((nuint)border - 1));
        if (huge)
        {
            HugePages.Advise(Pointer, byteLength);
        }
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
