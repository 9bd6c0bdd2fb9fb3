using System.Runtime.InteropServices;

namespace Cleave.Compute.Tests;

/// <summary>What malloc keeps of memory that is in use no more is given back.</summary>
public sealed unsafe class NativeHeapTests
{
    private const int BlockBytes = 16 << 10;
    private const int Blocks = 4096;

    [Fact]
    public void FreePagesBetweenBlocksInUseAreGivenBack()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "resident memory is read from /proc");

        // Other tests allocate meanwhile: one of a few tries counts.
        long most = 0;
        for (int attempt = 0; attempt < 5 && most < Blocks * BlockBytes / 2; attempt++)
        {
            // One small block in use after every sixteen keeps malloc from giving anything back by itself.
            var freed = new List<nint>();
            var used = new List<nint>();
            for (int i = 0; i < Blocks; i++)
            {
                void* block = NativeMemory.Alloc(BlockBytes);
                new Span<byte>(block, BlockBytes).Fill(1);
                freed.Add((nint)block);
                if (i % 16 == 15)
                {
                    used.Add((nint)NativeMemory.Alloc(64));
                }
            }

            freed.ForEach(static block => NativeMemory.Free((void*)block));
            long before = ResidentBytes();
            NativeHeap.Trim();
            most = Math.Max(most, before - ResidentBytes());
            used.ForEach(static block => NativeMemory.Free((void*)block));
        }

        Assert.InRange(most, Blocks * BlockBytes / 2, long.MaxValue);
    }

    private static long ResidentBytes() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) * Environment.SystemPageSize;
}
