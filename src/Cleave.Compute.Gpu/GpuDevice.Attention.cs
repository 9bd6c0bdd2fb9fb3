using Cleave.Compute.Gpu.Kernels;
using ILGPU;

namespace Cleave.Compute.Gpu;

/// <summary>Rotation, caches and attention.</summary>
public sealed partial class GpuDevice
{
    /// <inheritdoc />
    public void Rope(DeviceTensor x, int headDim, RopeTable table, AttentionPlan plan)
    {
        int rows = plan.Rows.Length;
        GpuTensor tensor = Tensor(x, rows);
        Require(tensor.ColumnCount % headDim == 0 && 2 * table.Pairs <= headDim, $"{tensor.ColumnCount} columns are not whole heads of {headDim} with {table.Pairs} rotated pairs");
        if (rows == 0 || table.Pairs == 0)
        {
            return;
        }

        Written(tensor);
        ArrayView<float> numbers = RopeNumbers(table, plan.MaxLength);
        _plan.Use(_stream, plan);
        int heads = tensor.ColumnCount / headDim;
        var sizes = new RopeSizes
        {
            Rows = rows,
            Heads = heads,
            HeadDim = headDim,
            Pairs = table.Pairs,
            Stride = tensor.Stride,
            Interleaved = table.Layout == RopeLayout.Interleaved ? 1 : 0,
        };
        _plain.Rope(_stream, Grid1((long)rows * heads * table.Pairs), tensor.View, numbers, _plan.Rows, sizes);
    }

    /// <inheritdoc />
    public void RopeAndStore(
        DeviceTensor queries, DeviceTensor keys, DeviceTensor values, int headDim, RopeTable table, KvArena arena, int layer, AttentionPlan plan)
    {
        GpuKvArena own = Arena(arena, layer, keys);
        if (_cuda is null || !Cuda.CudaKernels.CanRopeAndStore(own, headDim) || plan.Rows.Length == 0 || table.Pairs == 0)
        {
            Rope(queries, headDim, table, plan);
            Rope(keys, headDim, table, plan);
            StoreKv(keys, values, arena, layer, plan);
            return;
        }

        int rows = plan.Rows.Length;
        GpuTensor q = Tensor(queries, rows);
        GpuTensor k = Tensor(keys, rows);
        GpuTensor v = Tensor(values, rows);
        Written(q);
        ArrayView<float> numbers = RopeNumbers(table, plan.MaxLength);
        _plan.Use(_stream, plan);
        _cuda.RopeAndStore(q, k, v, headDim, table, numbers, own, layer, _plan, rows);
    }

    /// <inheritdoc />
    public void StoreKv(DeviceTensor keys, DeviceTensor values, KvArena arena, int layer, AttentionPlan plan)
    {
        int rows = plan.Rows.Length;
        GpuTensor k = Tensor(keys, rows);
        GpuTensor v = Tensor(values, rows);
        GpuKvArena own = Arena(arena, layer, keys);
        if (rows == 0)
        {
            return;
        }

        _plan.Use(_stream, plan);
        int blocks = (own.Columns + 31) / 32;
        var sizes = new AttentionSizes
        {
            Rows = rows,
            Heads = blocks,
            HeadDim = own.Columns,
            QStride = k.Stride,
            KvType = (int)own.Type,
            RowUnits = own.RowUnits,
            KeyOffset = own.KeyOffset(layer),
        };
        _plain.Store(_stream, Grid1((long)rows * blocks), k.View, own.View, _plan.Rows, sizes);
        sizes.QStride = v.Stride;
        sizes.KeyOffset = own.ValueOffset(layer);
        _plain.Store(_stream, Grid1((long)rows * blocks), v.View, own.View, _plan.Rows, sizes);
    }

    /// <inheritdoc />
    public void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y)
    {
        int rows = plan.Rows.Length;
        GpuTensor from = Tensor(q, rows);
        GpuTensor to = Tensor(y, rows);
        GpuKvArena own = Arena(arena, layer, null);
        Require(from.ColumnCount == shape.Heads * shape.HeadDim && to.ColumnCount == from.ColumnCount && own.Columns == shape.KvHeads * shape.HeadDim,
            $"attention of {shape.Heads}/{shape.KvHeads} heads of {shape.HeadDim} does not fit q of {from.ColumnCount}, y of {to.ColumnCount}, cache of {own.Columns} columns");
        if (rows == 0)
        {
            return;
        }

        Written(to);
        _plan.Use(_stream, plan);
        if (_cuda is not null && Cuda.CudaKernels.CanAttend(own, shape))
        {
            _cuda.Attention(from, own, layer, plan, _plan, shape, to);
            return;
        }

        int blocks = (plan.MaxLength + PlainAttention.BlockLength - 1) / PlainAttention.BlockLength;
        int chunk = (int)Math.Clamp(ScratchBytes / (4L * shape.Heads * blocks * PlainAttention.BlockLength), 1, rows);
        for (int start = 0; start < rows; start += chunk)
        {
            var sizes = new AttentionSizes
            {
                Rows = Math.Min(chunk, rows - start),
                FirstRow = start,
                Heads = shape.Heads,
                KvHeads = shape.KvHeads,
                HeadDim = shape.HeadDim,
                QStride = from.Stride,
                YStride = to.Stride,
                Blocks = blocks,
                Window = shape.Window,
                KvType = (int)own.Type,
                RowUnits = own.RowUnits,
                KeyOffset = own.KeyOffset(layer),
                ValueOffset = own.ValueOffset(layer),
                Scale = shape.Scale,
                SoftCap = shape.SoftCap,
            };
            long pairs = (long)sizes.Rows * shape.Heads;
            ArrayView<float> scores = _floats.Get(pairs * blocks * PlainAttention.BlockLength);
            ArrayView<float> statistics = _statistics.Get(pairs * blocks * 2);
            _plain.Scores(_stream, Grid1(pairs * blocks * PlainAttention.BlockLength), from.View, own.View, _plan.Rows, _plan.Tables, _plan.Tails, scores, sizes);
            _plain.BlockSoftmax(_stream, Grid1(pairs * blocks), scores, statistics, sizes);
            _plain.Values(_stream, Grid1(pairs * shape.HeadDim), scores, statistics, own.View, _plan.Rows, _plan.Tables, _plan.Tails, to.View, sizes);
        }
    }

    private static GpuKvArena Arena(KvArena arena, int layer, DeviceTensor? keys)
    {
        var own = arena as GpuKvArena ?? throw new ArgumentException($"an arena of {arena?.GetType().Name} was given to a GPU device", nameof(arena));
        Require((uint)layer < (uint)own.Layers, $"layer {layer} is outside an arena of {own.Layers}");
        Require(keys is null || keys.ColumnCount == own.Columns, $"keys have {keys?.ColumnCount} columns, the arena {own.Columns}");
        return own;
    }
}
