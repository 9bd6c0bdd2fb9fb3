using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

internal sealed unsafe partial class VectorKernels<TLanes>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Score(float* q, int heads, int headDim, in PositionBlock keys, int first, int last, float scale, float cap, float* scores)
    {
        float** w = stackalloc float*[PanelOutputs];
        for (int j = first / PanelOutputs * PanelOutputs; j < last; j += PanelOutputs)
        {
            if (j >= first && j + PanelOutputs <= last)
            {
                for (int i = 0; i < PanelOutputs; i++)
                {
                    w[i] = keys[j + i];
                }
            }
            else
            {
                // Positions outside first..last-1 repeat one inside; their scores are overwritten below.
                for (int i = 0; i < PanelOutputs; i++)
                {
                    w[i] = keys[Math.Clamp(j + i, first, last - 1)];
                }
            }

            TileWhole(q, headDim, heads, w, headDim, scores + j, BlockPositions, null, TilePart.Whole);
        }

        TLanes factor = TLanes.Broadcast(scale);
        TLanes limit = TLanes.Broadcast(cap);
        for (int head = 0; head < heads; head++)
        {
            float* row = scores + (head * BlockPositions);
            for (int j = first & ~(Lanes - 1); j < last; j += Lanes)
            {
                TLanes value = TLanes.Multiply(TLanes.Load(row + j), factor);
                TLanes.Store(cap > 0 ? Cap(value, limit) : value, row + j);
            }

            if (last - first < BlockPositions)
            {
                new Span<float>(row, first).Fill(float.NegativeInfinity);
                new Span<float>(row + last, BlockPositions - last).Fill(float.NegativeInfinity);
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
    public override void Mix(float* mix, int heads, int headDim, float* correction, in PositionBlock values, int first, int last, float* weights)
    {
        int head = 0;
        for (; head + 3 <= heads; head += 3)
        {
            int d = 0;
            for (; d + 64 <= headDim; d += 64)
            {
                Mix3x64(mix + (head * headDim) + d, headDim, correction + head, values, d, first, last, weights + (head * BlockPositions));
            }

            for (; d < headDim; d += Lanes)
            {
                for (int i = head; i < head + 3; i++)
                {
                    Mix1x16(mix + (i * headDim) + d, correction[i], values, d, first, last, weights + (i * BlockPositions));
                }
            }
        }

        for (; head < heads; head++)
        {
            int d = 0;
            for (; d + 64 <= headDim; d += 64)
            {
                Mix1x64(mix + (head * headDim) + d, correction[head], values, d, first, last, weights + (head * BlockPositions));
            }

            for (; d < headDim; d += Lanes)
            {
                Mix1x16(mix + (head * headDim) + d, correction[head], values, d, first, last, weights + (head * BlockPositions));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix3x64(float* mix, int stride, float* correction, in PositionBlock values, int column, int first, int last, float* weights)
    {
        float* start = values.Start + column;
        int* slots = values.Slots;
        nint slotStride = values.Stride;
        TLanes factor0 = TLanes.Broadcast(correction[0]);
        TLanes m00 = TLanes.Multiply(TLanes.Load(mix), factor0);
        TLanes m01 = TLanes.Multiply(TLanes.Load(mix + 16), factor0);
        TLanes m02 = TLanes.Multiply(TLanes.Load(mix + 32), factor0);
        TLanes m03 = TLanes.Multiply(TLanes.Load(mix + 48), factor0);
        TLanes factor1 = TLanes.Broadcast(correction[1]);
        TLanes m10 = TLanes.Multiply(TLanes.Load(mix + stride), factor1);
        TLanes m11 = TLanes.Multiply(TLanes.Load(mix + stride + 16), factor1);
        TLanes m12 = TLanes.Multiply(TLanes.Load(mix + stride + 32), factor1);
        TLanes m13 = TLanes.Multiply(TLanes.Load(mix + stride + 48), factor1);
        TLanes factor2 = TLanes.Broadcast(correction[2]);
        TLanes m20 = TLanes.Multiply(TLanes.Load(mix + (2 * stride)), factor2);
        TLanes m21 = TLanes.Multiply(TLanes.Load(mix + (2 * stride) + 16), factor2);
        TLanes m22 = TLanes.Multiply(TLanes.Load(mix + (2 * stride) + 32), factor2);
        TLanes m23 = TLanes.Multiply(TLanes.Load(mix + (2 * stride) + 48), factor2);
        for (int j = first; j < last; j++)
        {
            float* value = start + (slots[j] * slotStride);
            TLanes v0 = TLanes.Load(value);
            TLanes v1 = TLanes.Load(value + 16);
            TLanes v2 = TLanes.Load(value + 32);
            TLanes v3 = TLanes.Load(value + 48);
            TLanes p0 = TLanes.Broadcast(weights + j);
            TLanes.Accumulate(ref m00, p0, v0);
            TLanes.Accumulate(ref m01, p0, v1);
            TLanes.Accumulate(ref m02, p0, v2);
            TLanes.Accumulate(ref m03, p0, v3);
            TLanes p1 = TLanes.Broadcast(weights + BlockPositions + j);
            TLanes.Accumulate(ref m10, p1, v0);
            TLanes.Accumulate(ref m11, p1, v1);
            TLanes.Accumulate(ref m12, p1, v2);
            TLanes.Accumulate(ref m13, p1, v3);
            TLanes p2 = TLanes.Broadcast(weights + (2 * BlockPositions) + j);
            TLanes.Accumulate(ref m20, p2, v0);
            TLanes.Accumulate(ref m21, p2, v1);
            TLanes.Accumulate(ref m22, p2, v2);
            TLanes.Accumulate(ref m23, p2, v3);
        }

        TLanes.Store(m00, mix);
        TLanes.Store(m01, mix + 16);
        TLanes.Store(m02, mix + 32);
        TLanes.Store(m03, mix + 48);
        TLanes.Store(m10, mix + stride);
        TLanes.Store(m11, mix + stride + 16);
        TLanes.Store(m12, mix + stride + 32);
        TLanes.Store(m13, mix + stride + 48);
        TLanes.Store(m20, mix + (2 * stride));
        TLanes.Store(m21, mix + (2 * stride) + 16);
        TLanes.Store(m22, mix + (2 * stride) + 32);
        TLanes.Store(m23, mix + (2 * stride) + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix1x64(float* mix, float correction, in PositionBlock values, int column, int first, int last, float* weights)
    {
        float* start = values.Start + column;
        int* slots = values.Slots;
        nint slotStride = values.Stride;
        TLanes factor0 = TLanes.Broadcast(correction);
        TLanes m00 = TLanes.Multiply(TLanes.Load(mix), factor0);
        TLanes m01 = TLanes.Multiply(TLanes.Load(mix + 16), factor0);
        TLanes m02 = TLanes.Multiply(TLanes.Load(mix + 32), factor0);
        TLanes m03 = TLanes.Multiply(TLanes.Load(mix + 48), factor0);
        for (int j = first; j < last; j++)
        {
            float* value = start + (slots[j] * slotStride);
            TLanes v0 = TLanes.Load(value);
            TLanes v1 = TLanes.Load(value + 16);
            TLanes v2 = TLanes.Load(value + 32);
            TLanes v3 = TLanes.Load(value + 48);
            TLanes p0 = TLanes.Broadcast(weights + j);
            TLanes.Accumulate(ref m00, p0, v0);
            TLanes.Accumulate(ref m01, p0, v1);
            TLanes.Accumulate(ref m02, p0, v2);
            TLanes.Accumulate(ref m03, p0, v3);
        }

        TLanes.Store(m00, mix);
        TLanes.Store(m01, mix + 16);
        TLanes.Store(m02, mix + 32);
        TLanes.Store(m03, mix + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix1x16(float* mix, float correction, in PositionBlock values, int column, int first, int last, float* weights)
    {
        float* start = values.Start + column;
        int* slots = values.Slots;
        nint slotStride = values.Stride;
        TLanes factor0 = TLanes.Broadcast(correction);
        TLanes m00 = TLanes.Multiply(TLanes.Load(mix), factor0);
        for (int j = first; j < last; j++)
        {
            float* value = start + (slots[j] * slotStride);
            TLanes v0 = TLanes.Load(value);
            TLanes p0 = TLanes.Broadcast(weights + j);
            TLanes.Accumulate(ref m00, p0, v0);
        }

        TLanes.Store(m00, mix);
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
