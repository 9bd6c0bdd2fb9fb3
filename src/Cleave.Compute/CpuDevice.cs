using System.Runtime.CompilerServices;
using Cleave.Compute.Cpu;
using Cleave.Compute.Cpu.Packed;

namespace Cleave.Compute;

/// <summary>
/// The CPU behind <see cref="IComputeDevice"/>. Every kernel path and every number of threads gives the same bits
/// (docs/ARCHITECTURE.md). Operations run before they return.
/// </summary>
public sealed unsafe class CpuDevice : IComputeDevice
{
    private readonly KernelSet _kernels;
    private readonly ThreadTeam _team;
    private readonly WorkerScratch _scratch;
    private readonly WorkerScratch _packedRows;
    private readonly MatMulJob _matMul;
    private readonly AttentionJob _attention;
    private readonly RowsJob _rows;
    private long _allocatedBytes;

    /// <param name="path">Instruction set; the default is CLEAVE_KERNELS, else the best this machine has.</param>
    /// <param name="threads">Threads, the caller's included; the default is CLEAVE_THREADS, else the physical processors.</param>
    /// <param name="packBF16">
    /// Keeps BF16 matrices in 12 bits a number, bit for bit the same (docs/decisions/packed-bf16.md): more tokens a second where memory bounds
    /// them, for memory of its own. Where <see cref="PacksBF16"/> is false they are read as they are stored.
    /// </param>
    /// <exception cref="NotSupportedException">This machine lacks the instruction set, or a variable is malformed.</exception>
    public CpuDevice(KernelPath? path = null, int? threads = null, bool packBF16 = false)
    {
        _kernels = KernelTable.Select(path);
        PacksBF16 = packBF16 && _kernels.Path == KernelPath.Avx512 && PackedTiles.IsSupported;
        _team = new ThreadTeam(threads ?? ProcessorCount.Default());
        _scratch = new WorkerScratch(this, _team.Size);
        _packedRows = new WorkerScratch(this, 1);
        _matMul = new MatMulJob(_kernels, _scratch, _packedRows);
        _attention = new AttentionJob(_kernels, _scratch);
        _rows = new RowsJob(_kernels, _scratch);
    }

    /// <inheritdoc />
    public string Name => "cpu";

    /// <inheritdoc />
    public string Fingerprint => KernelFingerprint.Value;

    /// <inheritdoc />
    public long AllocatedBytes => Volatile.Read(ref _allocatedBytes);

    /// <summary>The instruction set in use.</summary>
    public KernelPath Path => _kernels.Path;

    /// <summary>Threads in use, the caller's included.</summary>
    public int Threads => _team.Size;

    /// <summary>True when BF16 matrices are packed as they are loaded: asked for, and this processor has the instructions (AVX-512 with VBMI).</summary>
    public bool PacksBF16 { get; }

    /// <summary>The kernel paths this machine can run, best first.</summary>
    public static IReadOnlyList<KernelPath> SupportedPaths { get; } = [.. KernelTable.Supported];

    /// <summary>
    /// Memory that a matrix takes once packed, without the few numbers that are kept whole (about 0.1 % in trained models); null for one that is
    /// never packed.
    /// </summary>
    public static long? PackedBytes(ElementType type, long outputs, long inputs)
    {
        int rows = checked((int)outputs);
        int columns = checked((int)inputs);
        return type == ElementType.BF16 && PackedLayout.Fits(rows, columns) ? new PackedLayout(rows, columns).Bytes : null;
    }

    /// <inheritdoc />
    public DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked)
    {
        var weight = new CpuWeight(stacked);
        if (PacksBF16)
        {
            weight.Pack(this, _team.Size);
        }

        return weight;
    }

    /// <inheritdoc />
    public DeviceWeight LoadEmbedding(TensorData embedding) => new CpuWeight([embedding]);

    /// <inheritdoc />
    public DeviceTensor LoadVector(TensorData vector, float offset = 0)
    {
        Require(vector.Rows == 1, $"'{vector.Name}' has shape [{string.Join(", ", vector.Shape)}], expected a vector");
        Require(
            vector.Type is ElementType.F32 or ElementType.F16 or ElementType.BF16,
            $"'{vector.Name}' is {vector.Type}; a vector is F32, F16 or BF16");
        var loaded = new CpuTensor(this, 1, checked((int)vector.Columns));
        _kernels.Unpack(vector.Type, vector.Pointer, loaded.Pointer, loaded.ColumnCount);
        GC.KeepAlive(vector);
        if (offset != 0)
        {
            for (int i = 0; i < loaded.ColumnCount; i++)
            {
                loaded.Pointer[i] += offset;
            }
        }

        return loaded;
    }

    /// <inheritdoc />
    public DeviceTensor Allocate(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        return new CpuTensor(this, rows, columns);
    }

    /// <inheritdoc />
    public KvArena AllocateKv(int layers, int slots, int columns, ElementType type) => new CpuKvArena(this, layers, slots, columns, type);

    /// <inheritdoc />
    public void Upload(ReadOnlySpan<float> source, DeviceTensor destination, int rows)
    {
        CpuTensor target = Checked(destination, rows);
        int columns = target.ColumnCount;
        Require(source.Length == (long)rows * columns, $"{source.Length} numbers do not fill {rows} rows of a tensor of shape {target.Shape}");
        for (int row = 0; row < rows; row++)
        {
            source.Slice(row * columns, columns).CopyTo(new Span<float>(target.Row(row), columns));
        }
    }

    /// <inheritdoc />
    public void Download(DeviceTensor source, int rows, Span<float> destination)
    {
        CpuTensor tensor = Checked(source, rows);
        int columns = tensor.ColumnCount;
        Require(destination.Length >= (long)rows * columns, $"{rows} rows of a tensor of shape {tensor.Shape} do not fit {destination.Length} numbers");
        for (int row = 0; row < rows; row++)
        {
            new Span<float>(tensor.Row(row), columns).CopyTo(destination[(row * columns)..]);
        }
    }

    /// <inheritdoc />
    public void Gather(DeviceWeight embedding, ReadOnlySpan<int> ids, float scale, DeviceTensor destination)
    {
        CpuWeight weight = Checked(embedding);
        CpuTensor target = Checked(destination, ids.Length);
        Require(target.ColumnCount == weight.Inputs, $"embedding {Shape(weight)} does not fit rows of {target.Shape}");
        for (int row = 0; row < ids.Length; row++)
        {
            Require((uint)ids[row] < (uint)weight.Outputs, $"id {ids[row]} is outside an embedding of shape {Shape(weight)}");
            float* y = target.Row(row);
            weight.Unpack(_kernels, ids[row], y);
            if (scale != 1)
            {
                _kernels.ScaleAndCap(y, scale, 0, weight.Inputs);
            }
        }
    }

    /// <inheritdoc />
    public void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows)
    {
        CpuTensor input = Checked(x, rows);
        CpuTensor output = Checked(y, rows);
        CpuWeight matrix = Checked(weight);
        CpuTensor? addend = bias is null ? null : Checked(bias, 1);
        Require(
            input.ColumnCount == matrix.Inputs && output.ColumnCount == matrix.Outputs,
            $"weight {Shape(matrix)} does not map {input.Shape} to {output.Shape}");
        Require(addend is null || addend.ColumnCount == matrix.Outputs, $"bias {addend?.Shape} does not fit weight {Shape(matrix)}");
        if (rows > 0 && matrix.Outputs > 0)
        {
            _matMul.Run(
                _team, input.Pointer, input.Stride, matrix, addend is null ? null : addend.Pointer, output.Pointer, output.Stride, rows);
        }
    }

    /// <inheritdoc />
    public void RmsNorm(DeviceTensor x, DeviceTensor weight, float epsilon, DeviceTensor y, int rows, int groups = 1)
    {
        CpuTensor input = Checked(x, rows);
        CpuTensor factors = Checked(weight, 1);
        CpuTensor output = Checked(y, rows);
        Require(input.ColumnCount == output.ColumnCount, $"norm of {input.Shape} does not fit {output.Shape}");
        Require(groups > 0 && input.ColumnCount % groups == 0, $"{groups} groups do not divide the columns of {input.Shape}");
        Require(
            factors.ColumnCount == input.ColumnCount || factors.ColumnCount == input.ColumnCount / groups,
            $"norm weight {factors.Shape} does not fit {groups} groups of {input.Shape}");
        _rows.RmsNorm(_team, input, factors, epsilon, output, rows, groups);
    }

    /// <inheritdoc />
    public void Rope(DeviceTensor x, int headDim, RopeTable table, AttentionPlan plan)
    {
        CpuTensor input = Checked(x, plan.Rows.Length);
        Require(headDim > 0 && input.ColumnCount % headDim == 0, $"heads of {headDim} do not divide the columns of {input.Shape}");
        Require(2 * table.Pairs <= headDim, $"{table.Pairs} rotated pairs do not fit a head of {headDim}");
        _rows.Rope(_team, input, headDim, table, plan);
    }

    /// <inheritdoc />
    public void StoreKv(DeviceTensor keys, DeviceTensor values, KvArena arena, int layer, AttentionPlan plan)
    {
        CpuTensor k = Checked(keys, plan.Rows.Length);
        CpuTensor v = Checked(values, plan.Rows.Length);
        CpuKvArena store = Checked(arena, layer, plan);
        Require(
            k.ColumnCount == store.Columns && v.ColumnCount == store.Columns,
            $"keys {k.Shape} and values {v.Shape} do not fit an arena of {store.Columns} columns");
        _rows.StoreKv(_team, k, v, store, layer, plan);
    }

    /// <inheritdoc />
    public void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y)
    {
        CpuTensor queries = Checked(q, plan.Rows.Length);
        CpuTensor output = Checked(y, plan.Rows.Length);
        CpuKvArena store = Checked(arena, layer, plan);
        Require(
            shape.HeadDim > 0 && shape.KvHeads > 0 && shape.Heads > 0 && shape.Heads % shape.KvHeads == 0,
            $"{shape.Heads} heads of {shape.HeadDim} cannot share {shape.KvHeads} key heads");
        Require(
            queries.ColumnCount == (long)shape.Heads * shape.HeadDim && output.ColumnCount == queries.ColumnCount
            && store.Columns == (long)shape.KvHeads * shape.HeadDim,
            $"queries {queries.Shape}, output {output.Shape} and {store.Columns} key columns do not fit {shape.Heads} heads of {shape.HeadDim} over {shape.KvHeads}");
        Require(
            shape.HeadDim % store.Type.BlockLength() == 0,
            $"{store.Type} blocks of {store.Type.BlockLength()} do not divide a head of {shape.HeadDim}");
        if (plan.Rows.Length > 0)
        {
            _attention.Run(_team, queries.Pointer, queries.Stride, store, layer, plan, shape, output.Pointer, output.Stride);
        }
    }

    /// <inheritdoc />
    public void GatedActivation(DeviceTensor gate, DeviceTensor up, Activation activation, DeviceTensor y, int rows)
    {
        CpuTensor g = Checked(gate, rows);
        CpuTensor u = Checked(up, rows);
        CpuTensor output = Checked(y, rows);
        Require(
            g.ColumnCount == u.ColumnCount && g.ColumnCount == output.ColumnCount,
            $"gate {g.Shape}, up {u.Shape} and output {output.Shape} differ");
        _rows.GatedActivation(_team, g, u, activation, output, rows);
    }

    /// <inheritdoc />
    public void Add(DeviceTensor x, DeviceTensor y, float scale, int rows)
    {
        CpuTensor target = Checked(x, rows);
        CpuTensor addend = Checked(y, rows);
        Require(target.ColumnCount == addend.ColumnCount, $"cannot add {addend.Shape} to {target.Shape}");
        _rows.AddScaled(_team, target, addend, scale, rows);
    }

    /// <inheritdoc />
    public void ScaleAndCap(DeviceTensor x, float scale, float cap, int rows) =>
        _rows.ScaleAndCap(_team, Checked(x, rows), scale, cap, rows);

    /// <inheritdoc />
    public void CopyRows(DeviceTensor source, ReadOnlySpan<int> indices, DeviceTensor destination)
    {
        CpuTensor from = Checked(source, 0);
        CpuTensor to = Checked(destination, indices.Length);
        Require(from.ColumnCount == to.ColumnCount, $"rows of {from.Shape} do not fit {to.Shape}");
        for (int row = 0; row < indices.Length; row++)
        {
            Require((uint)indices[row] < (uint)from.RowCapacity, $"row {indices[row]} is outside a tensor of shape {from.Shape}");
            new Span<float>(from.Row(indices[row]), from.ColumnCount).CopyTo(new Span<float>(to.Row(row), to.ColumnCount));
        }
    }

    /// <inheritdoc />
    public void ScatterAddRows(DeviceTensor source, ReadOnlySpan<int> indices, ReadOnlySpan<float> scales, DeviceTensor destination)
    {
        CpuTensor from = Checked(source, indices.Length);
        CpuTensor to = Checked(destination, 0);
        Require(from.ColumnCount == to.ColumnCount, $"rows of {from.Shape} do not fit {to.Shape}");
        Require(scales.Length == indices.Length, $"{indices.Length} rows need as many scales, got {scales.Length}");
        for (int row = 0; row < indices.Length; row++)
        {
            Require((uint)indices[row] < (uint)to.RowCapacity, $"row {indices[row]} is outside a tensor of shape {to.Shape}");
            _kernels.AddScaled(to.Row(indices[row]), from.Row(row), scales[row], to.ColumnCount);
        }
    }

    /// <inheritdoc />
    public void Clear(DeviceTensor destination, int rows)
    {
        CpuTensor tensor = Checked(destination, rows);
        for (int row = 0; row < rows; row++)
        {
            new Span<float>(tensor.Row(row), tensor.ColumnCount).Clear();
        }
    }

    /// <summary>Stops the threads and frees the scratch memory; tensors and arenas are freed by their owners.</summary>
    public void Dispose()
    {
        _team.Dispose();
        _scratch.Dispose();
        _packedRows.Dispose();
    }

    internal void Allocated(long bytes) => Interlocked.Add(ref _allocatedBytes, bytes);

    private static CpuTensor Checked(DeviceTensor tensor, int rows)
    {
        CpuTensor own = tensor as CpuTensor ?? throw new ArgumentException($"a {tensor.GetType().Name} is not on the CPU");
        Require(rows >= 0 && rows <= own.RowCapacity, $"{rows} rows are outside a tensor of shape {own.Shape}");
        return own;
    }

    private static CpuWeight Checked(DeviceWeight weight)
    {
        CpuWeight own = weight as CpuWeight ?? throw new ArgumentException($"a {weight.GetType().Name} is not on the CPU");
        ObjectDisposedException.ThrowIf(own.Disposed, own);
        return own;
    }

    private static CpuKvArena Checked(KvArena arena, int layer, AttentionPlan plan)
    {
        CpuKvArena own = arena as CpuKvArena ?? throw new ArgumentException($"a {arena.GetType().Name} is not on the CPU");
        Require((uint)layer < (uint)own.Layers, $"layer {layer} is outside an arena of {own.Layers} layers");
        uint largest = AttentionJob.LargestSlot(plan);
        Require(plan.Rows.Length == 0 || largest < (uint)own.Slots, $"slot {(int)largest} is outside an arena of {own.Slots} slots");
        return own;
    }

    private static string Shape(CpuWeight weight) => $"[{weight.Outputs}, {weight.Inputs}]";

    /// <summary>The message is only formatted when the condition fails.</summary>
    private static void Require(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] FailureMessage message)
    {
        if (!condition)
        {
            throw new ArgumentException(message.ToStringAndClear());
        }
    }
}
