using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Cleave.Compute.Cpu;

internal sealed unsafe partial class VectorKernels<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Score(float* q, int heads, int headDim, float* keys, long* offsets, int first, int last, float scale, float cap, float* scores)
    {
        for (int head = 0; head < heads; head++)
        {
            float* query = q + (head * headDim);
            float* row = scores + (head * BlockPositions);
            TLanes lowest = TLanes.Broadcast(float.NegativeInfinity);
            for (int j = 0; j < BlockPositions; j += Lanes)
            {
                TLanes.Store(lowest, row + j);
            }

            int position = first;
            for (; position + 4 <= last; position += 4)
            {
                float* k0 = keys + offsets[position];
                float* k1 = keys + offsets[position + 1];
                float* k2 = keys + offsets[position + 2];
                float* k3 = keys + offsets[position + 3];
                TLanes a0 = TLanes.Zero;
                TLanes a1 = TLanes.Zero;
                TLanes a2 = TLanes.Zero;
                TLanes a3 = TLanes.Zero;
                for (int d = 0; d < headDim; d += Lanes)
                {
                    TLanes value = TLanes.Load(query + d);
                    a0 = TLanes.Fma(value, TLanes.Load(k0 + d), a0);
                    a1 = TLanes.Fma(value, TLanes.Load(k1 + d), a1);
                    a2 = TLanes.Fma(value, TLanes.Load(k2 + d), a2);
                    a3 = TLanes.Fma(value, TLanes.Load(k3 + d), a3);
                }

                (TLanes.Sum4(a0, a1, a2, a3) * Vector128.Create(scale)).Store(row + position);
            }

            for (; position < last; position++)
            {
                TLanes sum = TLanes.Zero;
                for (int d = 0; d < headDim; d += Lanes)
                {
                    sum = TLanes.Fma(TLanes.Load(query + d), TLanes.Load(keys + offsets[position] + d), sum);
                }

                row[position] = TLanes.Sum(sum) * scale;
            }

            if (cap > 0)
            {
                TLanes limit = TLanes.Broadcast(cap);
                for (int j = 0; j < BlockPositions; j += Lanes)
                {
                    // Positions outside first..last-1 stay at -infinity.
                    TLanes value = TLanes.Load(row + j);
                    TLanes capped = Cap(value, limit);
                    TLanes.Store(capped, row + j);
                }

                for (int j = 0; j < BlockPositions; j++)
                {
                    row[j] = j >= first && j < last ? row[j] : float.NegativeInfinity;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Softmax(float* scores, int heads, float* max, float* sum, float* correction)
    {
        for (int head = 0; head < heads; head++)
        {
            float* row = scores + (head * BlockPositions);
            TLanes s0 = TLanes.Load(row);
            TLanes s1 = TLanes.Load(row + 16);
            TLanes s2 = TLanes.Load(row + 32);
            TLanes s3 = TLanes.Load(row + 48);
            TLanes upper = TLanes.IfLess(s0, s1, s1, s0);
            upper = TLanes.IfLess(upper, s2, s2, upper);
            upper = TLanes.IfLess(upper, s3, s3, upper);
            float blockMax = TLanes.Max(upper);
            float largest = max[head] < blockMax ? blockMax : max[head];
            TLanes shift = TLanes.Broadcast(largest);
            s0 = VectorMath<TLanes>.Exp(TLanes.Subtract(s0, shift));
            s1 = VectorMath<TLanes>.Exp(TLanes.Subtract(s1, shift));
            s2 = VectorMath<TLanes>.Exp(TLanes.Subtract(s2, shift));
            s3 = VectorMath<TLanes>.Exp(TLanes.Subtract(s3, shift));
            TLanes.Store(s0, row);
            TLanes.Store(s1, row + 16);
            TLanes.Store(s2, row + 32);
            TLanes.Store(s3, row + 48);
            correction[head] = ScalarMath.Exp(max[head] - largest);
            float total = TLanes.Sum(TLanes.Add(TLanes.Add(TLanes.Add(s0, s1), s2), s3));
            sum[head] = MathF.FusedMultiplyAdd(sum[head], correction[head], total);
            max[head] = largest;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Mix(float* mix, int heads, int headDim, float* correction, float* values, long* offsets, int first, int last, float* weights)
    {
        for (int head = 0; head < heads; head++)
        {
            float* row = weights + (head * BlockPositions);
            TLanes factor = TLanes.Broadcast(correction[head]);
            int d = 0;
            for (; d + 64 <= headDim; d += 64)
            {
                float* target = mix + (head * headDim) + d;
                TLanes m0 = TLanes.Multiply(TLanes.Load(target), factor);
                TLanes m1 = TLanes.Multiply(TLanes.Load(target + 16), factor);
                TLanes m2 = TLanes.Multiply(TLanes.Load(target + 32), factor);
                TLanes m3 = TLanes.Multiply(TLanes.Load(target + 48), factor);
                for (int j = first; j < last; j++)
                {
                    TLanes weight = TLanes.Broadcast(row[j]);
                    float* value = values + offsets[j] + d;
                    m0 = TLanes.Fma(weight, TLanes.Load(value), m0);
                    m1 = TLanes.Fma(weight, TLanes.Load(value + 16), m1);
                    m2 = TLanes.Fma(weight, TLanes.Load(value + 32), m2);
                    m3 = TLanes.Fma(weight, TLanes.Load(value + 48), m3);
                }

                TLanes.Store(m0, target);
                TLanes.Store(m1, target + 16);
                TLanes.Store(m2, target + 32);
                TLanes.Store(m3, target + 48);
            }

            for (; d < headDim; d += Lanes)
            {
                float* target = mix + (head * headDim) + d;
                TLanes m0 = TLanes.Multiply(TLanes.Load(target), factor);
                for (int j = first; j < last; j++)
                {
                    m0 = TLanes.Fma(TLanes.Broadcast(row[j]), TLanes.Load(values + offsets[j] + d), m0);
                }

                TLanes.Store(m0, target);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Divide(float* mix, float sum, float* y, int count)
    {
        TLanes divisor = TLanes.Broadcast(sum);
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            TLanes.Store(TLanes.Divide(TLanes.Load(mix + i), divisor), y + i);
        }

        for (; i < count; i++)
        {
            y[i] = mix[i] / sum;
        }
    }
}
