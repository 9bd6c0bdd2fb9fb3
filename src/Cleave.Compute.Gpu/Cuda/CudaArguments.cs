using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// Kernel arguments in one buffer, each aligned to eight bytes. Kernels compiled by ILGPU take a view as pointer and length, a structure as
/// it lies in memory; PTX kernels take bare pointers. Used within one expression, on the thread that owns the device.
/// </summary>
internal readonly unsafe struct CudaArguments
{
    private const int Capacity = 64;

    [ThreadStatic]
    private static long* s_values;

    [ThreadStatic]
    private static void** s_pointers;

    [ThreadStatic]
    private static int s_words;

    [ThreadStatic]
    private static int s_count;

    public CudaArguments()
    {
        if (s_values is null)
        {
            s_values = (long*)System.Runtime.InteropServices.NativeMemory.Alloc(Capacity, sizeof(long));
            s_pointers = (void**)System.Runtime.InteropServices.NativeMemory.Alloc(Capacity, (nuint)sizeof(void*));
        }

        s_words = 0;
        s_count = 0;
    }

    public CudaArguments Add<T>(T value)
        where T : unmanaged
    {
        s_pointers[s_count++] = s_values + s_words;
        Unsafe.WriteUnaligned(s_values + s_words, value);
        s_words += (sizeof(T) + 7) / 8;
        return this;
    }

    public CudaArguments Add<T>(ArrayView<T> view, [CallerMemberName] string _ = "")
        where T : unmanaged
    {
        s_pointers[s_count++] = s_values + s_words;
        s_values[s_words++] = view.IsValid ? view.LoadEffectiveAddressAsPtr() : 0;
        s_values[s_words++] = view.Length;
        return this;
    }

    public CudaArguments AddPointer<T>(ArrayView<T> view)
        where T : unmanaged => Add(view.IsValid ? (long)view.LoadEffectiveAddressAsPtr() : 0L);

    public void Launch(AcceleratorStream stream, nint function, (int X, int Y, int Z) grid, int threads, int sharedBytes, bool overlap) =>
        CudaDriver.Launch(stream, function, grid, threads, sharedBytes, overlap, s_pointers);
}
