using System.Runtime.InteropServices;
using Cleave.Compute;

namespace Cleave.Models.Storage;

/// <summary>Native memory of one tensor: given back when that is released, or with the last reference to it.</summary>
internal sealed unsafe class NativeBlock : ITensorMemory
{
    private const int Alignment = 64;

    private static long s_liveBytes;

    private readonly long _bytes;
    private int _disposed;

    public NativeBlock(long bytes)
    {
        _bytes = bytes;
        Pointer = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)(bytes >= HugePages.Size ? HugePages.Size : Alignment));
        HugePages.Advise(Pointer, bytes);
        GC.AddMemoryPressure(bytes);
        Interlocked.Add(ref s_liveBytes, bytes);
    }

    ~NativeBlock() => Free();

    /// <summary>Bytes of all blocks of this process that are not given back yet.</summary>
    public static long LiveBytes => Volatile.Read(ref s_liveBytes);

    public byte* Pointer { get; }

    public void Free()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            NativeMemory.AlignedFree(Pointer);
            GC.RemoveMemoryPressure(_bytes);
            Interlocked.Add(ref s_liveBytes, -_bytes);
        }
    }
}
