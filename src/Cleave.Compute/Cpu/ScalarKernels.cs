namespace Cleave.Compute.Cpu;

/// <summary>Plain loops, written for clarity: the specification of every kernel.</summary>
internal sealed unsafe class ScalarKernels : KernelSet
{
    private const int Lanes = 16;

    public override KernelPath Path => KernelPath.Scalar;

    public override int MostDotRows(ElementType type, int k) => 0;

    public override void Dot(
        ElementType type, float* x, int rows, byte* weights, long rowBytes, int outputs, int k, float* y, long yStride, float* carry, TilePart part) =>
        throw new NotSupportedException("the scalar kernels unpack every weight");

    public override void Unpack(ElementType type, byte* source, float* destination, int count) =>
        QuantBlocks.Unpack(type, source, destination, count);

    public override void UnpackPanel(ElementType type, byte* weights, long rowBytes, int outputs, int count, float* panel, int k)
    {
        for (int output = 0; output < outputs; output++)
        {
            QuantBlocks.Unpack(type, weights + (output * rowBytes), panel, count);
            new Span<float>(panel + count, k - count).Clear();
            panel += PanelStride(k);
        }
    }

    public override void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride, float* carry, TilePart part)
    {
        float* lanes = stackalloc float[Lanes];
        for (int row = 0; row < rows; row++)
        {
            for (int output = 0; output < outputs; output++)
            {
                var kept = new Span<float>(carry + (row * CarryFloats) + (output * Lanes), Lanes);
                new Span<float>(lanes, Lanes).Clear();
                if ((part & TilePart.Resume) != 0)
                {
                    kept.CopyTo(new Span<float>(lanes, Lanes));
                }

                MultiplyAdd(x + (row * xStride), panel + (output * PanelStride(k)), k, lanes);
                if ((part & TilePart.Pause) != 0)
                {
                    new Span<float>(lanes, Lanes).CopyTo(kept);
                }
                else
                {
                    y[(row * yStride) + output] = Sum(lanes);
                }
            }
        }
    }

    public override void RmsNorm(float* x, float* weight, float epsilon, float* y, int count)
    {
        float* lanes = stackalloc float[Lanes];
        new Span<float>(lanes, Lanes).Clear();
        for (int i = 0; i < count; i++)
        {
            lanes[i % Lanes] = MathF.FusedMultiplyAdd(x[i], x[i], lanes[i % Lanes]);
        }

        float factor = 1f / MathF.Sqrt((Sum(lanes) / count) + epsilon);
        for (int i = 0; i < count; i++)
        {
            y[i] = x[i] * factor * weight[i];
        }
    }

    public override void RotateInterleaved(float* x, float* cos, float* signedSin, int count)
    {
        for (int i = 0; i < count; i += 2)
        {
            float even = (x[i] * cos[i]) + (x[i + 1] * signedSin[i]);
            float odd = (x[i + 1] * cos[i + 1]) + (x[i] * signedSin[i + 1]);
            x[i] = even;
            x[i + 1] = odd;
        }
    }

    public override void RotateHalves(float* x, float* cos, float* sin, int pairs)
    {
        for (int i = 0; i < pairs; i++)
        {
            float first = (x[i] * cos[i]) - (x[i + pairs] * sin[i]);
            float second = (x[i + pairs] * cos[i]) + (x[i] * sin[i]);
            x[i] = first;
            x[i + pairs] = second;
        }
    }

    public override void GatedActivation(Activation activation, float* gate, float* up, float* y, int count)
    {
        for (int i = 0; i < count; i++)
        {
            float activated = activation switch
            {
                Activation.Silu => ScalarMath.Silu(gate[i]),
                Activation.GeluTanh => ScalarMath.GeluTanh(gate[i]),
                _ => ScalarMath.Gelu(gate[i]),
            };
            y[i] = activated * up[i];
        }
    }

    public override void AddScaled(float* x, float* y, float scale, int count)
    {
        for (int i = 0; i < count; i++)
        {
            x[i] = MathF.FusedMultiplyAdd(scale, y[i], x[i]);
        }
    }

    public override void ScaleAndCap(float* x, float scale, float cap, int count)
    {
        for (int i = 0; i < count; i++)
        {
            float scaled = x[i] * scale;
            x[i] = cap > 0 ? cap * ScalarMath.Tanh(scaled / cap) : scaled;
        }
    }

    public override void Score(float* q, int heads, int headDim, in PositionBlock keys, int first, int last, float scale, float cap, float* scores)
    {
        for (int head = 0; head < heads; head++)
        {
            for (int j = 0; j < BlockPositions; j++)
            {
                float score = float.NegativeInfinity;
                if (j >= first && j < last)
                {
                    score = DotProduct(q + (head * headDim), keys[j], headDim) * scale;
                    score = cap > 0 ? cap * ScalarMath.Tanh(score / cap) : score;
                }

                scores[(head * BlockPositions) + j] = score;
            }
        }
    }

    public override void Softmax(float* scores, int heads, float* max, float* sum, float* correction)
    {
        float* lanes = stackalloc float[Lanes];
        for (int head = 0; head < heads; head++)
        {
            float* row = scores + (head * BlockPositions);
            float largest = max[head];
            for (int j = 0; j < BlockPositions; j++)
            {
                largest = largest < row[j] ? row[j] : largest;
            }

            new Span<float>(lanes, Lanes).Clear();
            for (int j = 0; j < BlockPositions; j++)
            {
                row[j] = ScalarMath.Exp(row[j] - largest);
                lanes[j % Lanes] += row[j];
            }

            correction[head] = ScalarMath.Exp(max[head] - largest);
            sum[head] = MathF.FusedMultiplyAdd(sum[head], correction[head], Sum(lanes));
            max[head] = largest;
        }
    }

    public override void Mix(float* mix, int heads, int headDim, float* correction, in PositionBlock values, int first, int last, float* weights)
    {
        for (int head = 0; head < heads; head++)
        {
            for (int d = 0; d < headDim; d++)
            {
                float sum = mix[(head * headDim) + d] * correction[head];
                for (int j = first; j < last; j++)
                {
                    sum = MathF.FusedMultiplyAdd(weights[(head * BlockPositions) + j], values[j][d], sum);
                }

                mix[(head * headDim) + d] = sum;
            }
        }
    }

    public override void Divide(float* mix, float sum, float* y, int count)
    {
        for (int i = 0; i < count; i++)
        {
            y[i] = mix[i] / sum;
        }
    }

    /// <summary>The canonical product: sixteen lanes, then the tree.</summary>
    private static float DotProduct(float* a, float* b, int k)
    {
        float* lanes = stackalloc float[Lanes];
        new Span<float>(lanes, Lanes).Clear();
        MultiplyAdd(a, b, k, lanes);
        return Sum(lanes);
    }

    private static void MultiplyAdd(float* a, float* b, int k, float* lanes)
    {
        for (int i = 0; i < k; i++)
        {
            lanes[i % Lanes] = MathF.FusedMultiplyAdd(a[i], b[i], lanes[i % Lanes]);
        }
    }

    private static float Sum(float* lanes)
    {
        for (int apart = Lanes / 2; apart > 0; apart /= 2)
        {
            for (int i = 0; i < apart; i++)
            {
                lanes[i] += lanes[i + apart];
            }
        }

        return lanes[0];
    }
}
