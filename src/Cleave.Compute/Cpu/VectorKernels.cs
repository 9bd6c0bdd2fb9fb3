using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// The kernels on sixteen lanes, written once for every instruction set. The matrix products are in
/// VectorKernels.MatMul.cs, attention in VectorKernels.Attention.cs.
/// </summary>
internal sealed unsafe partial class VectorKernels<TLanes>(KernelPath path) : KernelSet
    where TLanes : struct, ILanes<TLanes>
{
    private const int Lanes = 16;

    public override KernelPath Path => path;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void RmsNorm(float* x, float* weight, float epsilon, float* y, int count)
    {
        TLanes squares = TLanes.Zero;
        int whole = count & ~(Lanes - 1);
        for (int i = 0; i < whole; i += Lanes)
        {
            TLanes value = TLanes.Load(x + i);
            squares = TLanes.Fma(value, value, squares);
        }

        float* tail = stackalloc float[2 * Lanes];
        if (whole < count)
        {
            TLanes value = LoadTail(x + whole, count - whole, tail);
            squares = TLanes.Fma(value, value, squares);
        }

        TLanes factor = TLanes.Broadcast(1f / MathF.Sqrt((TLanes.Sum(squares) / count) + epsilon));
        for (int i = 0; i < whole; i += Lanes)
        {
            TLanes.Store(TLanes.Multiply(TLanes.Multiply(TLanes.Load(x + i), factor), TLanes.Load(weight + i)), y + i);
        }

        if (whole < count)
        {
            TLanes value = TLanes.Multiply(LoadTail(x + whole, count - whole, tail), factor);
            StoreTail(TLanes.Multiply(value, LoadTail(weight + whole, count - whole, tail)), y + whole, count - whole, tail);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void RotateInterleaved(float* x, float* cos, float* signedSin, int count)
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            TLanes value = TLanes.Load(x + i);
            TLanes swapped = TLanes.Multiply(TLanes.SwapPairs(value), TLanes.Load(signedSin + i));
            TLanes.Store(TLanes.Add(TLanes.Multiply(value, TLanes.Load(cos + i)), swapped), x + i);
        }

        for (; i < count; i += 2)
        {
            float even = (x[i] * cos[i]) + (x[i + 1] * signedSin[i]);
            float odd = (x[i + 1] * cos[i + 1]) + (x[i] * signedSin[i + 1]);
            x[i] = even;
            x[i + 1] = odd;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void RotateHalves(float* x, float* cos, float* sin, int pairs)
    {
        int i = 0;
        for (; i + Lanes <= pairs; i += Lanes)
        {
            TLanes c = TLanes.Load(cos + i);
            TLanes s = TLanes.Load(sin + i);
            TLanes first = TLanes.Load(x + i);
            TLanes second = TLanes.Load(x + i + pairs);
            TLanes.Store(TLanes.Subtract(TLanes.Multiply(first, c), TLanes.Multiply(second, s)), x + i);
            TLanes.Store(TLanes.Add(TLanes.Multiply(second, c), TLanes.Multiply(first, s)), x + i + pairs);
        }

        for (; i < pairs; i++)
        {
            float first = (x[i] * cos[i]) - (x[i + pairs] * sin[i]);
            float second = (x[i + pairs] * cos[i]) + (x[i] * sin[i]);
            x[i] = first;
            x[i + pairs] = second;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void GatedActivation(Activation activation, float* gate, float* up, float* y, int count)
    {
        int whole = count & ~(Lanes - 1);
        switch (activation)
        {
            case Activation.Silu:
                for (int i = 0; i < whole; i += Lanes)
                {
                    TLanes.Store(TLanes.Multiply(VectorMath<TLanes>.Silu(TLanes.Load(gate + i)), TLanes.Load(up + i)), y + i);
                }

                break;
            case Activation.GeluTanh:
                for (int i = 0; i < whole; i += Lanes)
                {
                    TLanes.Store(TLanes.Multiply(VectorMath<TLanes>.GeluTanh(TLanes.Load(gate + i)), TLanes.Load(up + i)), y + i);
                }

                break;
            default:
                for (int i = 0; i < whole; i += Lanes)
                {
                    TLanes.Store(TLanes.Multiply(VectorMath<TLanes>.Gelu(TLanes.Load(gate + i)), TLanes.Load(up + i)), y + i);
                }

                break;
        }

        if (whole < count)
        {
            float* padded = stackalloc float[2 * Lanes];
            float* other = padded + Lanes;
            int rest = count - whole;
            LoadTail(gate + whole, rest, padded);
            LoadTail(up + whole, rest, other);
            GatedActivation(activation, padded, other, padded, Lanes);
            Copy(padded, y + whole, rest);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddScaled(float* x, float* y, float scale, int count)
    {
        TLanes factor = TLanes.Broadcast(scale);
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            TLanes.Store(TLanes.Fma(factor, TLanes.Load(y + i), TLanes.Load(x + i)), x + i);
        }

        for (; i < count; i++)
        {
            x[i] = MathF.FusedMultiplyAdd(scale, y[i], x[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void ScaleAndCap(float* x, float scale, float cap, int count)
    {
        TLanes factor = TLanes.Broadcast(scale);
        TLanes limit = TLanes.Broadcast(cap);
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            TLanes scaled = TLanes.Multiply(TLanes.Load(x + i), factor);
            TLanes.Store(cap > 0 ? Cap(scaled, limit) : scaled, x + i);
        }

        for (; i < count; i++)
        {
            float scaled = x[i] * scale;
            x[i] = cap > 0 ? cap * ScalarMath.Tanh(scaled / cap) : scaled;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLanes Cap(TLanes value, TLanes limit) =>
        TLanes.Multiply(limit, VectorMath<TLanes>.Tanh(TLanes.Divide(value, limit)));

    /// <summary>Loads count (below 16) numbers, zeros after them; room for 16 at padded.</summary>
    private static TLanes LoadTail(float* source, int count, float* padded)
    {
        TLanes.Store(TLanes.Zero, padded);
        Copy(source, padded, count);
        return TLanes.Load(padded);
    }

    private static void StoreTail(TLanes value, float* destination, int count, float* padded)
    {
        TLanes.Store(value, padded);
        Copy(padded, destination, count);
    }

    private static void Copy(float* source, float* destination, int count)
    {
        for (int i = 0; i < count; i++)
        {
            destination[i] = source[i];
        }
    }
}
