using System.Runtime.InteropServices;

namespace Cleave.Models.Storage;

/// <summary>Native memory that lives as long as a tensor that points into it.</summary>
internal sealed unsafe class NativeBlock
{
    private const int Alignment = 64;

    private readonly long _bytes;

    public NativeBlock(long bytes)
    {
        _bytes = bytes;
        Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        GC.AddMemoryPressure(bytes);
    }

    ~NativeBlock()
    {
        NativeMemory.AlignedFree(Pointer);
        GC.RemoveMemoryPressure(_bytes);
    }

    public byte* Pointer { get; }
}
