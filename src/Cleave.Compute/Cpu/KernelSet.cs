using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// The arithmetic of <see cref="CpuDevice"/> on raw rows: one object per <see cref="KernelPath"/>, all bit-equal.
/// <see cref="ScalarKernels"/> is the specification. Products along an axis use sixteen lanes: lane i takes k ≡ i (mod 16)
/// in ascending order with fused multiply-add from zero, then one tree adds lanes 8, 4, 2 and 1 apart. Callers have checked
/// lengths; inner lengths named k or headDim are multiples of 16, padded with zeros.
/// </summary>
internal abstract unsafe class KernelSet
{
    /// <summary>Outputs computed from one unpacked panel of weights.</summary>
    public const int PanelOutputs = 8;

    /// <summary>Floats that keep one row's lanes for one panel between parts of a product.</summary>
    public const int CarryFloats = PanelOutputs * 16;

    /// <summary>Positions in one attention block.</summary>
    public const int BlockPositions = 64;

    /// <summary>Rows from which <see cref="Dot"/> can stop along K.</summary>
    public const int FewestSlicedRows = 5;

    /// <summary>
    /// Floats from one panel row to the next: a cache line more than needed, because rows a multiple of 4 KB apart would all
    /// fall on the same eight lines of the first-level cache.
    /// </summary>
    public static int PanelStride(int k) => k + 16;

    public abstract KernelPath Path { get; }

    /// <summary>The most rows for which <see cref="Dot"/> is the way to multiply; 0 when it cannot read this type and length.</summary>
    public abstract int MostDotRows(ElementType type, int k);

    /// <summary>
    /// y[r, n] = x[r] · w[n] for one part (<see cref="PartRows"/>) of few rows, x as <see cref="PackRows"/> leaves it; weight rows are
    /// rowBytes apart, read in their stored type. Parts of five rows and more can stop along K and go on later: carry then holds
    /// 16 floats for each row and output (outputs rounded up to even).
    /// </summary>
    public abstract void Dot(
        ElementType type, float* x, int rows, byte* weights, long rowBytes, int outputs, int k, float* y, long yStride, float* carry, TilePart part);

    /// <summary>Rows that <see cref="Dot"/> multiplies in its next pass when so many are left: equal parts of at most eight.</summary>
    public static int PartRows(int rows)
    {
        int parts = (rows + 7) / 8;
        return (rows + parts - 1) / parts;
    }

    /// <summary>
    /// Copies rows of k floats to parts of <see cref="PartRows"/> rows, each [k / 16, rows, 16]: one address leads to all rows,
    /// where one address each would not fit the registers.
    /// </summary>
    public static void PackRows(float* x, long xStride, int rows, int k, float* packed)
    {
        while (rows > 0)
        {
            int count = PartRows(rows);
            for (int i = 0; i < k; i += 16)
            {
                for (int row = 0; row < count; row++)
                {
                    Unsafe.CopyBlockUnaligned(packed, x + (row * xStride) + i, 16 * sizeof(float));
                    packed += 16;
                }
            }

            x += count * xStride;
            rows -= count;
        }
    }

    /// <summary>Decodes count numbers exactly (a whole number of blocks) to float32.</summary>
    public abstract void Unpack(ElementType type, byte* source, float* destination, int count);

    /// <summary>
    /// Decodes up to <see cref="PanelOutputs"/> weight rows of count numbers to panel rows of k floats, zeros after the numbers,
    /// and may ask the cache for the rows that follow. Panel rows are <see cref="PanelStride"/> apart.
    /// </summary>
    public abstract void UnpackPanel(ElementType type, byte* weights, long rowBytes, int outputs, int count, float* panel, int k);

    /// <summary>
    /// y[r, n] = x[r] · panel[n] for n below outputs; the panel holds <see cref="PanelOutputs"/> rows of k floats,
    /// <see cref="PanelStride"/> apart. A product along a longer K is computed in parts; carry then holds
    /// <see cref="CarryFloats"/> floats for each row.
    /// </summary>
    public abstract void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride, float* carry, TilePart part);

    /// <summary>y = x / sqrt(mean(x²) + epsilon) · weight.</summary>
    public abstract void RmsNorm(float* x, float* weight, float epsilon, float* y, int count);

    /// <summary>Rotates pairs (2i, 2i+1): cos and signed sin hold two entries a pair, sines as (-s, s).</summary>
    public abstract void RotateInterleaved(float* x, float* cos, float* signedSin, int count);

    /// <summary>Rotates pairs (i, i + pairs).</summary>
    public abstract void RotateHalves(float* x, float* cos, float* sin, int pairs);

    /// <summary>y = activation(gate) · up.</summary>
    public abstract void GatedActivation(Activation activation, float* gate, float* up, float* y, int count);

    /// <summary>x = scale · y + x, rounded once.</summary>
    public abstract void AddScaled(float* x, float* y, float scale, int count);

    /// <summary>x *= scale; then x = cap · tanh(x / cap) when cap is positive.</summary>
    public abstract void ScaleAndCap(float* x, float scale, float cap, int count);

    /// <summary>
    /// scores[h, j] = q[h] · key[j] · scale, capped, for j in first..last-1, and -infinity for the block's other positions.
    /// q: [heads, headDim]; scores: [heads, 64].
    /// </summary>
    public abstract void Score(float* q, int heads, int headDim, in PositionBlock keys, int first, int last, float scale, float cap, float* scores);

    /// <summary>
    /// One step of the running softmax for each head: scores become exp(score - max'), with max' the new maximum;
    /// correction = exp(max - max'); sum = sum · correction + Σ scores.
    /// </summary>
    public abstract void Softmax(float* scores, int heads, float* max, float* sum, float* correction);

    /// <summary>mix[h] = mix[h] · correction[h], then += weights[h, j] · value[j] for j = first..last-1 in ascending order.</summary>
    public abstract void Mix(float* mix, int heads, int headDim, float* correction, in PositionBlock values, int first, int last, float* weights);

    /// <summary>y = mix / sum.</summary>
    public abstract void Divide(float* mix, float sum, float* y, int count);
}
