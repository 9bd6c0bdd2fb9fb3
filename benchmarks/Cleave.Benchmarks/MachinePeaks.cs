using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>What the machine can do at best, measured with the widest vectors, all threads at once.</summary>
/// <param name="ReadGBPerSecond">Sequential reads of memory far larger than the caches.</param>
/// <param name="GigaMultiplyAddsPerSecond">Float32 fused multiply-adds from registers.</param>
internal sealed record MachinePeaks(double ReadGBPerSecond, double GigaMultiplyAddsPerSecond)
{
    private const int Rounds = 2_000_000;
    private const int Chains = 12;
    private const long BytesPerThread = 192L << 20;

    public static MachinePeaks Measure(int threads)
    {
        using var passes = new Passes(threads);
        double read = Enumerable.Range(0, 6).Min(_ => passes.Read());
        double multiply = Enumerable.Range(0, 6).Min(_ => passes.Multiply());
        return new MachinePeaks(passes.ReadBytes / read / 1e9, passes.MultiplyAdds / multiply / 1e9);
    }

    private static volatile float Sink;

    /// <summary>The two measurements, a pass at a time.</summary>
    internal sealed unsafe class Passes : IDisposable
    {
        private static readonly int Lanes =
            System.Runtime.Intrinsics.X86.Avx512F.IsSupported ? 16 : Vector<float>.Count;

        private readonly int _threads;
        private readonly byte* _memory;

        public Passes(int threads)
        {
            _threads = threads;
            _memory = (byte*)NativeMemory.AlignedAlloc((nuint)(BytesPerThread * threads), HugePages.Size);
            HugePages.Advise(_memory, BytesPerThread * threads);
            for (long i = 0; i < BytesPerThread * threads; i += 4096)
            {
                _memory[i] = 1;
            }
        }

        /// <summary>Bytes that <see cref="Read"/> reads.</summary>
        public double ReadBytes => (double)BytesPerThread * _threads;

        /// <summary>Multiply-adds that <see cref="Multiply"/> does.</summary>
        public double MultiplyAdds => (double)Rounds * Chains * Lanes * _threads;

        /// <summary>Seconds of one pass over the memory, every thread over its own part.</summary>
        public double Read() => Pass(thread => MachinePeaks.Read(_memory + (thread * BytesPerThread)));

        /// <summary>Seconds of multiply-adds between registers.</summary>
        public double Multiply() => Pass(static _ => Sink = Lanes == 16 ? Fma512() : FmaVector());

        public void Dispose() => NativeMemory.AlignedFree(_memory);

        private double Pass(Action<int> body)
        {
            using var barrier = new Barrier(_threads);
            var seconds = new double[_threads];
            Thread[] team = [.. Enumerable.Range(0, _threads).Select(thread => new Thread(() =>
            {
                barrier.SignalAndWait();
                double start = Timing.Now;
                body(thread);
                seconds[thread] = Timing.Now - start;
            }))];
            Array.ForEach(team, t => t.Start());
            Array.ForEach(team, t => t.Join());
            return seconds.Max();
        }
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
    private static float FmaVector()
    {
        Vector<float> x = new Vector<float>(0.5f);
        Vector<float> y = new Vector<float>(0.25f);
        Vector<float> a = Vector<float>.Zero;
        Vector<float> b = Vector<float>.Zero;
        Vector<float> c = Vector<float>.Zero;
        Vector<float> d = Vector<float>.Zero;
        Vector<float> e = Vector<float>.Zero;
        Vector<float> f = Vector<float>.Zero;
        Vector<float> g = Vector<float>.Zero;
        Vector<float> h = Vector<float>.Zero;
        Vector<float> i = Vector<float>.Zero;
        Vector<float> j = Vector<float>.Zero;
        Vector<float> k = Vector<float>.Zero;
        Vector<float> l = Vector<float>.Zero;
        for (int round = 0; round < Rounds; round++)
        {
            a = Vector.FusedMultiplyAdd(x, y, a);
            b = Vector.FusedMultiplyAdd(x, y, b);
            c = Vector.FusedMultiplyAdd(x, y, c);
            d = Vector.FusedMultiplyAdd(x, y, d);
            e = Vector.FusedMultiplyAdd(x, y, e);
            f = Vector.FusedMultiplyAdd(x, y, f);
            g = Vector.FusedMultiplyAdd(x, y, g);
            h = Vector.FusedMultiplyAdd(x, y, h);
            i = Vector.FusedMultiplyAdd(x, y, i);
            j = Vector.FusedMultiplyAdd(x, y, j);
            k = Vector.FusedMultiplyAdd(x, y, k);
            l = Vector.FusedMultiplyAdd(x, y, l);
        }

        return Vector.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }
}
