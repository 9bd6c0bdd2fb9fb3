namespace Cleave.Compute;

/// <summary>
/// The coarse operations a transformer is written in. Activations stay on the device between operations; rows are
/// independent: every operation's result for a row depends on that row alone, never on how many rows share the call
/// (docs/ARCHITECTURE.md, "Exactness"). Operations may be queued; <see cref="Download"/> waits for them.
/// A device is used by one thread at a time.
/// </summary>
public interface IComputeDevice : IDisposable
{
    /// <summary>What it is: "cpu", "cuda:0".</summary>
    string Name { get; }

    /// <summary>
    /// Identifies everything that decides result bits: device kind, kernel source hash, arithmetic variant. Two devices
    /// with equal fingerprints give equal bits.
    /// </summary>
    string Fingerprint { get; }

    /// <summary>Bytes this device has allocated for weights, activations and caches.</summary>
    long AllocatedBytes { get; }

    /// <summary>How keys and values are stored on this device when nothing else is asked for.</summary>
    ElementType PreferredKvType => ElementType.F32;

    /// <summary>
    /// Makes a weight of one or more matrices stacked along their outputs (fused QKV, gate and up). All have the same
    /// inputs and element type. A CPU reads mapped memory in place.
    /// </summary>
    DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked);

    /// <summary>
    /// Makes the weight of a gated feed-forward's first half, for <see cref="GatedMatMul"/> alone: gate above up, of one element type
    /// and shape. A device may lay the two out side by side.
    /// </summary>
    DeviceWeight LoadGated(TensorData gate, TensorData up, Activation activation) => LoadWeight([gate, up]);

    /// <summary>Makes a weight that is only gathered from; a device with little memory may leave it on the host.</summary>
    DeviceWeight LoadEmbedding(TensorData embedding) => LoadWeight([embedding]);

    /// <summary>Uploads a vector of F32, F16 or BF16 as float32 [1, length], adding <paramref name="offset"/> to each number.</summary>
    DeviceTensor LoadVector(TensorData vector, float offset = 0);

    /// <summary>Float32 activations, contents undefined.</summary>
    DeviceTensor Allocate(int rows, int columns);

    /// <summary>Storage for keys and values; <paramref name="type"/> is F32, F16, BF16 or Q8_0. Memory may be committed lazily.</summary>
    KvArena AllocateKv(int layers, int slots, int columns, ElementType type);

    /// <summary>Copies host rows, [rows, destination.ColumnCount] contiguous, to the device.</summary>
    void Upload(ReadOnlySpan<float> source, DeviceTensor destination, int rows);

    /// <summary>Waits for queued work and copies rows to the host, contiguous.</summary>
    void Download(DeviceTensor source, int rows, Span<float> destination);

    /// <summary>destination[r] = dequantised row ids[r] of <paramref name="embedding"/>, times <paramref name="scale"/>.</summary>
    void Gather(DeviceWeight embedding, ReadOnlySpan<int> ids, float scale, DeviceTensor destination);

    /// <summary>
    /// y[r, n] = sum over k of x[r, k] · w[n, k], plus bias[n] when given, in the one canonical K schedule of this device
    /// and weight type, whatever <paramref name="rows"/> is.
    /// </summary>
    void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows);

    /// <summary>
    /// residual += scale · (x·Wᵀ + bias): a projection that joins the residual stream, in one pass where the device has it.
    /// <paramref name="scratch"/> [rows, outputs] may be used for the product; its contents are undefined afterwards.
    /// </summary>
    void MatMulAdd(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor scratch, float scale, DeviceTensor residual, int rows)
    {
        MatMul(x, weight, bias, scratch, rows);
        Add(residual, scratch, scale, rows);
    }

    /// <summary>
    /// gate = activation(x·Gᵀ) · (x·Uᵀ) for a weight of <see cref="LoadGated"/>, in one pass where the device has it.
    /// <paramref name="gate"/> and <paramref name="up"/> are views of the halves of <paramref name="products"/> [rows, 2 · inner], made once by
    /// the caller so that a step makes none; what is left in up is undefined.
    /// </summary>
    void GatedMatMul(DeviceTensor x, DeviceWeight gateUp, Activation activation, DeviceTensor products, DeviceTensor gate, DeviceTensor up, int rows)
    {
        MatMul(x, gateUp, null, products, rows);
        GatedActivation(gate, up, activation, gate, rows);
    }

    /// <summary>
    /// Root-mean-square norm of each of <paramref name="groups"/> equal column groups of each row, times
    /// <paramref name="weight"/> (length ColumnCount / groups, or ColumnCount). In place when y is x.
    /// </summary>
    void RmsNorm(DeviceTensor x, DeviceTensor weight, float epsilon, DeviceTensor y, int rows, int groups = 1);

    /// <summary>Rotates each head of each row, in place, by its plan position. x: [rows, heads * headDim].</summary>
    void Rope(DeviceTensor x, int headDim, RopeTable table, AttentionPlan plan);

    /// <summary>Writes keys and values [rows, kvHeads * headDim] of the plan's rows to their slots.</summary>
    void StoreKv(DeviceTensor keys, DeviceTensor values, KvArena arena, int layer, AttentionPlan plan);

    /// <summary>
    /// <see cref="Rope"/> of queries and keys, then <see cref="StoreKv"/>, in one pass where the device has it. The keys tensor's own
    /// contents are undefined afterwards.
    /// </summary>
    void RopeAndStore(
        DeviceTensor queries, DeviceTensor keys, DeviceTensor values, int headDim, RopeTable table, KvArena arena, int layer, AttentionPlan plan)
    {
        Rope(queries, headDim, table, plan);
        Rope(keys, headDim, table, plan);
        StoreKv(keys, values, arena, layer, plan);
    }

    /// <summary>
    /// Grouped-query attention of each row over its own history. q, y: [rows, heads * headDim]. Iterates over positions
    /// in blocks of 64 starting at multiples of 64, reading through the slot table, in sequential decoding's order.
    /// </summary>
    void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y);

    /// <summary>y = activation(gate) · up, element by element. gate, up, y: [rows, columns]; y may be gate.</summary>
    void GatedActivation(DeviceTensor gate, DeviceTensor up, Activation activation, DeviceTensor y, int rows);

    /// <summary>x += scale · y.</summary>
    void Add(DeviceTensor x, DeviceTensor y, float scale, int rows);

    /// <summary>x = cap · tanh(x / cap) when cap &gt; 0, after x *= scale.</summary>
    void ScaleAndCap(DeviceTensor x, float scale, float cap, int rows);

    /// <summary>True when whole rows of logits are costly to bring to the host, so that <see cref="TopOf"/> is worth its work.</summary>
    bool PrefersTopRows => false;

    /// <summary>Answers <paramref name="tops"/> for the first <paramref name="rows"/> rows of <paramref name="x"/>, after queued work.</summary>
    void TopOf(DeviceTensor x, int rows, TopRows tops)
    {
        var numbers = new float[rows * x.ColumnCount];
        Download(x, rows, numbers);
        tops.Prepare(rows);
        for (int row = 0; row < rows; row++)
        {
            tops.Fill(row, numbers.AsSpan(row * x.ColumnCount, x.ColumnCount));
        }
    }

    /// <summary>destination[r] = source[indices[r]].</summary>
    void CopyRows(DeviceTensor source, ReadOnlySpan<int> indices, DeviceTensor destination);

    /// <summary>destination[indices[r]] += scales[r] · source[r]; indices are distinct.</summary>
    void ScatterAddRows(DeviceTensor source, ReadOnlySpan<int> indices, ReadOnlySpan<float> scales, DeviceTensor destination);

    /// <summary>destination = 0 for the given rows.</summary>
    void Clear(DeviceTensor destination, int rows);
}
