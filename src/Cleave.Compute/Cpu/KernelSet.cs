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
    public const int PanelOutputs = 6;

    /// <summary>Positions in one attention block.</summary>
    public const int BlockPositions = 64;

    public abstract KernelPath Path { get; }

    /// <summary>Whether <see cref="Dot"/> reads this type in place.</summary>
    public abstract bool HasDot(ElementType type);

    /// <summary>y[n] = x · w[n] for one row of x and n in 0..outputs-1; weight rows are rowBytes apart in their stored type.</summary>
    public abstract void Dot(ElementType type, float* x, byte* weights, long rowBytes, int outputs, int k, float* y);

    /// <summary>Decodes count numbers exactly (a whole number of blocks) to float32.</summary>
    public abstract void Unpack(ElementType type, byte* source, float* destination, int count);

    /// <summary>y[r, n] = x[r] · panel[n] for n below outputs; the panel holds <see cref="PanelOutputs"/> rows of k floats.</summary>
    public abstract void Tile(float* x, long xStride, int rows, float* panel, int outputs, int k, float* y, long yStride);

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
    /// q: [heads, headDim]; key j starts at keys + offsets[j]; scores: [heads, 64].
    /// </summary>
    public abstract void Score(float* q, int heads, int headDim, float* keys, long* offsets, int first, int last, float scale, float cap, float* scores);

    /// <summary>
    /// One step of the running softmax for each head: scores become exp(score - max'), with max' the new maximum;
    /// correction = exp(max - max'); sum = sum · correction + Σ scores.
    /// </summary>
    public abstract void Softmax(float* scores, int heads, float* max, float* sum, float* correction);

    /// <summary>mix[h] = mix[h] · correction[h], then += weights[h, j] · value[j] for j = first..last-1 in ascending order.</summary>
    public abstract void Mix(float* mix, int heads, int headDim, float* correction, float* values, long* offsets, int first, int last, float* weights);

    /// <summary>y = mix / sum.</summary>
    public abstract void Divide(float* mix, float sum, float* y, int count);
}
