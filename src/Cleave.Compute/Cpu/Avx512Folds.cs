using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Cleave.Compute.Cpu;

/// <summary>Sums of lanes, two registers at a time: four folds leave the sums of sixteen registers in one.</summary>
internal static class Avx512Folds
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Fold8(Vector512<float> a, Vector512<float> b)
    {
        // [a low, b high] + [a high, b low]: one blend and one shuffle, because only port 5 shuffles.
        Vector512<float> kept = Vector512.ConditionalSelect(Vector512.Create(0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1).AsSingle(), b, a);
        return kept + Avx512F.Shuffle4x128(a, b, 0b01_00_11_10);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Fold4(Vector512<float> a, Vector512<float> b)
    {
        Vector512<float> kept = Vector512.ConditionalSelect(Vector512.Create(0, 0, 0, 0, -1, -1, -1, -1, 0, 0, 0, 0, -1, -1, -1, -1).AsSingle(), b, a);
        return kept + Avx512F.PermuteVar16x32x2(a, Vector512.Create(4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27), b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Fold2(Vector512<float> a, Vector512<float> b)
    {
        Vector512<float> kept = Vector512.ConditionalSelect(Vector512.Create(0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1).AsSingle(), b, a);
        return kept + Avx512F.Shuffle(a, b, 0b01_00_11_10);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Fold1(Vector512<float> a, Vector512<float> b)
    {
        Vector512<float> kept = Vector512.ConditionalSelect(Vector512.Create(0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1, 0, -1).AsSingle(), b, a);
        return kept + Avx512F.PermuteVar16x32x2(a, Vector512.Create(1, 16, 3, 18, 5, 20, 7, 22, 9, 24, 11, 26, 13, 28, 15, 30), b);
    }
}
