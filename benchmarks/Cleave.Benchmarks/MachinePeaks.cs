using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cleave.Benchmarks;

/// <summary>What the machine can do at best, measured with the widest vectors, all threads at once.</summary>
/// <param name="ReadGBPerSecond">Sequential reads of memory far larger than the caches.</param>
/// <param name="GigaMultiplyAddsPerSecond">Float32 fused multiply-adds from registers.</param>
internal sealed record MachinePeaks(double ReadGBPerSecond, double GigaMultiplyAddsPerSecond)
{
    private const int Rounds = 4_000_000;
    private const int Chains = 12;
    private const long BytesPerThread = 192L << 20;

    public static unsafe MachinePeaks Measure(int threads)
    {
        byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)(BytesPerThread * threads), 4096);
        new Span<byte>(memory, 1).Clear();
        for (long i = 0; i < BytesPerThread * threads; i += 4096)
        {
            memory[i] = 1;
        }

        int lanes = System.Runtime.Intrinsics.X86.Avx512F.IsSupported ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;
        double read = Best(threads, thread => Read(memory + (thread * BytesPerThread)));
        double multiply = Best(threads, _ => Sink = lanes == 16 ? Fma512() : lanes == 8 ? Fma256() : Fma128());
        NativeMemory.AlignedFree(memory);
        return new MachinePeaks(
            BytesPerThread * threads / read / 1e9,
            (double)Rounds * Chains * lanes * threads / multiply / 1e9);
    }

    private static volatile float Sink;

    private static double Best(int threads, Action<int> body)
    {
        double best = double.MaxValue;
        for (int round = 0; round < 6; round++)
        {
            using var barrier = new Barrier(threads);
            var longest = new double[threads];
            Thread[] team = [.. Enumerable.Range(0, threads).Select(thread => new Thread(() =>
            {
                barrier.SignalAndWait();
                double start = Timing.Now;
                body(thread);
                longest[thread] = Timing.Now - start;
            }))];
            Array.ForEach(team, t => t.Start());
            Array.ForEach(team, t => t.Join());
            best = Math.Min(best, longest.Max());
        }

        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void Read(byte* memory)
    {
        int step = 4 * Vector<byte>.Count;
        Vector<byte> a = Vector<byte>.Zero;
        Vector<byte> b = a;
        Vector<byte> c = a;
        Vector<byte> d = a;
        for (long i = 0; i < BytesPerThread; i += step)
        {
            a ^= Vector.Load(memory + i);
            b ^= Vector.Load(memory + i + Vector<byte>.Count);
            c ^= Vector.Load(memory + i + (2 * Vector<byte>.Count));
            d ^= Vector.Load(memory + i + (3 * Vector<byte>.Count));
        }

        Sink = Vector.Sum(a ^ b ^ c ^ d);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Fma512()
    {
        Vector512<float> x = Vector512.Create(0.5f);
        Vector512<float> y = Vector512.Create(0.25f);
        Vector512<float> a = Vector512<float>.Zero;
        Vector512<float> b = Vector512<float>.Zero;
        Vector512<float> c = Vector512<float>.Zero;
        Vector512<float> d = Vector512<float>.Zero;
        Vector512<float> e = Vector512<float>.Zero;
        Vector512<float> f = Vector512<float>.Zero;
        Vector512<float> g = Vector512<float>.Zero;
        Vector512<float> h = Vector512<float>.Zero;
        Vector512<float> i = Vector512<float>.Zero;
        Vector512<float> j = Vector512<float>.Zero;
        Vector512<float> k = Vector512<float>.Zero;
        Vector512<float> l = Vector512<float>.Zero;
        for (int round = 0; round < Rounds; round++)
        {
            a = Vector512.FusedMultiplyAdd(x, y, a);
            b = Vector512.FusedMultiplyAdd(x, y, b);
            c = Vector512.FusedMultiplyAdd(x, y, c);
            d = Vector512.FusedMultiplyAdd(x, y, d);
            e = Vector512.FusedMultiplyAdd(x, y, e);
            f = Vector512.FusedMultiplyAdd(x, y, f);
            g = Vector512.FusedMultiplyAdd(x, y, g);
            h = Vector512.FusedMultiplyAdd(x, y, h);
            i = Vector512.FusedMultiplyAdd(x, y, i);
            j = Vector512.FusedMultiplyAdd(x, y, j);
            k = Vector512.FusedMultiplyAdd(x, y, k);
            l = Vector512.FusedMultiplyAdd(x, y, l);
        }

        return Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Fma256()
    {
        Vector256<float> x = Vector256.Create(0.5f);
        Vector256<float> y = Vector256.Create(0.25f);
        Vector256<float> a = Vector256<float>.Zero;
        Vector256<float> b = Vector256<float>.Zero;
        Vector256<float> c = Vector256<float>.Zero;
        Vector256<float> d = Vector256<float>.Zero;
        Vector256<float> e = Vector256<float>.Zero;
        Vector256<float> f = Vector256<float>.Zero;
        Vector256<float> g = Vector256<float>.Zero;
        Vector256<float> h = Vector256<float>.Zero;
        Vector256<float> i = Vector256<float>.Zero;
        Vector256<float> j = Vector256<float>.Zero;
        Vector256<float> k = Vector256<float>.Zero;
        Vector256<float> l = Vector256<float>.Zero;
        for (int round = 0; round < Rounds; round++)
        {
            a = Vector256.FusedMultiplyAdd(x, y, a);
            b = Vector256.FusedMultiplyAdd(x, y, b);
            c = Vector256.FusedMultiplyAdd(x, y, c);
            d = Vector256.FusedMultiplyAdd(x, y, d);
            e = Vector256.FusedMultiplyAdd(x, y, e);
            f = Vector256.FusedMultiplyAdd(x, y, f);
            g = Vector256.FusedMultiplyAdd(x, y, g);
            h = Vector256.FusedMultiplyAdd(x, y, h);
            i = Vector256.FusedMultiplyAdd(x, y, i);
            j = Vector256.FusedMultiplyAdd(x, y, j);
            k = Vector256.FusedMultiplyAdd(x, y, k);
            l = Vector256.FusedMultiplyAdd(x, y, l);
        }

        return Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Fma128()
    {
        Vector128<float> x = Vector128.Create(0.5f);
        Vector128<float> y = Vector128.Create(0.25f);
        Vector128<float> a = Vector128<float>.Zero;
        Vector128<float> b = Vector128<float>.Zero;
        Vector128<float> c = Vector128<float>.Zero;
        Vector128<float> d = Vector128<float>.Zero;
        Vector128<float> e = Vector128<float>.Zero;
        Vector128<float> f = Vector128<float>.Zero;
        Vector128<float> g = Vector128<float>.Zero;
        Vector128<float> h = Vector128<float>.Zero;
        Vector128<float> i = Vector128<float>.Zero;
        Vector128<float> j = Vector128<float>.Zero;
        Vector128<float> k = Vector128<float>.Zero;
        Vector128<float> l = Vector128<float>.Zero;
        for (int round = 0; round < Rounds; round++)
        {
            a = Vector128.FusedMultiplyAdd(x, y, a);
            b = Vector128.FusedMultiplyAdd(x, y, b);
            c = Vector128.FusedMultiplyAdd(x, y, c);
            d = Vector128.FusedMultiplyAdd(x, y, d);
            e = Vector128.FusedMultiplyAdd(x, y, e);
            f = Vector128.FusedMultiplyAdd(x, y, f);
            g = Vector128.FusedMultiplyAdd(x, y, g);
            h = Vector128.FusedMultiplyAdd(x, y, h);
            i = Vector128.FusedMultiplyAdd(x, y, i);
            j = Vector128.FusedMultiplyAdd(x, y, j);
            k = Vector128.FusedMultiplyAdd(x, y, k);
            l = Vector128.FusedMultiplyAdd(x, y, l);
        }

        return Vector128.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }
}
