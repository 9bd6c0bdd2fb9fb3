using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

public sealed partial class GpuDevice
{
    /// <inheritdoc />
    public DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked)
    {
        ArgumentNullException.ThrowIfNull(stacked);
        TensorData first = stacked[0];
        if (stacked.Any(t => t.Type != first.Type || t.Columns != first.Columns))
        {
            throw new ArgumentException(
                $"tensors '{string.Join("', '", stacked.Select(t => t.Name))}' cannot be stacked: their element types or inputs differ", nameof(stacked));
        }

        int inputs = checked((int)first.Columns);
        int outputs = checked((int)stacked.Sum(t => t.Rows));
        if (_cuda is not null && Cuda.WeightPacking.Packs(first.Type, inputs))
        {
            long units = Cuda.WeightPacking.Units(first.Type, outputs, inputs);
            MemoryBuffer1D<ushort, Stride1D.Dense> packed = AllocateMemory<ushort>(units, $"weight '{first.Name}' [{outputs}, {inputs}]");
            _cuda.Pack(stacked, outputs, inputs, gated: false, packed.View.BaseView);
            return new GpuWeight(first.Type, outputs, inputs, packed, packed: true, host: null, bytes => Account(-bytes));
        }

        long rowUnits = first.RowBytes / 2;
        MemoryBuffer1D<ushort, Stride1D.Dense> memory = AllocateMemory<ushort>(outputs * rowUnits, $"weight '{first.Name}' [{outputs}, {inputs}]");
        long at = 0;
        foreach (TensorData tensor in stacked)
        {
            UploadBytes(tensor, memory.View.BaseView.SubView(at, tensor.Rows * rowUnits));
            at += tensor.Rows * rowUnits;
        }

        return new GpuWeight(first.Type, outputs, inputs, memory, packed: false, host: null, bytes => Account(-bytes));
    }

    /// <inheritdoc />
    public DeviceWeight LoadGated(TensorData gate, TensorData up, Activation activation)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(up);
        int inputs = checked((int)gate.Columns);
        int outputs = checked((int)(gate.Rows + up.Rows));
        if (_cuda is null || activation != Activation.Silu || gate.Type != up.Type || up.Columns != inputs || gate.Rows != up.Rows || gate.Rows % 8 != 0
            || !Cuda.WeightPacking.Packs(gate.Type, inputs))
        {
            return LoadWeight([gate, up]);
        }

        MemoryBuffer1D<ushort, Stride1D.Dense> packed = AllocateMemory<ushort>(
            Cuda.WeightPacking.Units(gate.Type, outputs, inputs), $"weights '{gate.Name}' and '{up.Name}' [{outputs}, {inputs}]");
        _cuda.Pack([gate, up], outputs, inputs, gated: true, packed.View.BaseView);
        return new GpuWeight(gate.Type, outputs, inputs, packed, packed: true, host: null, bytes => Account(-bytes)) { IsGated = true };
    }

    /// <inheritdoc />
    public DeviceWeight LoadEmbedding(TensorData embedding)
    {
        ArgumentNullException.ThrowIfNull(embedding);
        return EmbeddingOnHost && HostDecode.CanRead(embedding.Type)
            ? new GpuWeight(
                embedding.Type, checked((int)embedding.Rows), checked((int)embedding.Columns), memory: null, packed: false, embedding, bytes => Account(-bytes))
            : LoadWeight([embedding]);
    }

    /// <inheritdoc />
    public void Gather(DeviceWeight embedding, ReadOnlySpan<int> ids, float scale, DeviceTensor destination)
    {
        GpuWeight weight = Weight(embedding);
        GpuTensor to = Tensor(destination, ids.Length);
        Require(to.ColumnCount == weight.Inputs, $"the embedding has {weight.Inputs} columns, the destination {to.ColumnCount}");
        foreach (int id in ids)
        {
            Require((uint)id < (uint)weight.Outputs, $"id {id} is outside the embedding's {weight.Outputs} rows");
        }

        if (ids.IsEmpty)
        {
            return;
        }

        if (weight.Host is { } host)
        {
            GatherOnHost(host, ids, scale, to);
            return;
        }

        Written(to);
        ArrayView<int> indices = UploadIndices(ids);
        if (weight.IsPacked)
        {
            _cuda!.Gather(weight, indices, ids.Length, scale, to);
            return;
        }

        var shape = new MatMulShape { Rows = ids.Length, Inputs = weight.Inputs, RowUnits = weight.RowUnits, YStride = to.Stride };
        _plain.Gather(weight.Type)(_stream, Grid1((long)ids.Length * weight.Inputs), weight.View, indices, to.View, shape, scale);
    }

    /// <inheritdoc />
    public void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows)
    {
        GpuWeight w = Weight(weight);
        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(y, rows);
        RequireProduct(from, w, bias, to);
        if (rows == 0)
        {
            return;
        }

        Written(to);
        if (w.IsPacked)
        {
            _cuda!.MatMul(from, w, bias as GpuTensor, to, residual: null, scale: 0, rows);
            return;
        }

        // Chunks of rows keep the partial sums small; a row's schedule does not depend on its chunk.
        int chunk = (int)Math.Min(rows, Math.Max(PlainMatMul.RowTile, ScratchBytes / (4L * PlainMatMul.Shares * w.Outputs)));
        for (int start = 0; start < rows; start += chunk)
        {
            int count = Math.Min(chunk, rows - start);
            var shape = new MatMulShape
            {
                Rows = count,
                Inputs = w.Inputs,
                Outputs = w.Outputs,
                RowUnits = w.RowUnits,
                XStride = from.Stride,
                YStride = to.Stride,
                HasBias = bias is null ? 0 : 1,
            };
            ArrayView<float> partial = _floats.Get((long)PlainMatMul.Shares * count * w.Outputs);
            int tiles = (count + PlainMatMul.RowTile - 1) / PlainMatMul.RowTile;
            _plain.Partial(w.Type)(
                _stream, Grid1((long)w.Outputs * tiles * PlainMatMul.Shares), From(from, start), w.View, partial, shape);
            _plain.Sum(_stream, Grid1((long)count * w.Outputs), partial, (bias as GpuTensor)?.View ?? _noBias.View.BaseView, From(to, start), shape);
        }
    }

    /// <inheritdoc />
    public void MatMulAdd(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor scratch, float scale, DeviceTensor residual, int rows)
    {
        GpuWeight w = Weight(weight);
        if (!w.IsPacked)
        {
            MatMul(x, weight, bias, scratch, rows);
            Add(residual, scratch, scale, rows);
            return;
        }

        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(residual, rows);
        RequireProduct(from, w, bias, to);
        if (rows > 0)
        {
            Written(to);
            _cuda!.MatMul(from, w, bias as GpuTensor, y: null, to, scale, rows);
        }
    }

    /// <inheritdoc />
    public void GatedMatMul(DeviceTensor x, DeviceWeight gateUp, Activation activation, DeviceTensor products, DeviceTensor gate, DeviceTensor up, int rows)
    {
        GpuWeight w = Weight(gateUp);
        int inner = w.Outputs / 2;
        if (!w.IsGated)
        {
            MatMul(x, gateUp, null, products, rows);
            GatedActivation(gate, up, activation, gate, rows);
            return;
        }

        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(gate, rows);
        Require(from.ColumnCount == w.Inputs && to.ColumnCount == inner && activation == Activation.Silu,
            $"x has {from.ColumnCount} columns and the gate {to.ColumnCount}, the activation is {activation}; the gated weight is [2 x {inner}, {w.Inputs}] for {Activation.Silu}");
        if (rows > 0)
        {
            Written(to);
            _cuda!.GatedMatMul(from, w, to, rows);
        }
    }

    /// <inheritdoc />
    public void RmsNorm(DeviceTensor x, DeviceTensor weight, float epsilon, DeviceTensor y, int rows, int groups = 1)
    {
        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(y, rows);
        GpuTensor factors = Tensor(weight, 1);
        int width = from.ColumnCount / Math.Max(1, groups);
        Require(groups > 0 && width * groups == from.ColumnCount && to.ColumnCount == from.ColumnCount, $"{from.ColumnCount} columns do not make {groups} groups of {to.ColumnCount} outputs");
        Require(factors.ColumnCount == width || factors.ColumnCount == from.ColumnCount, $"a norm weight of {factors.ColumnCount} does not fit {groups} groups of {width}");
        if (rows == 0 || from.ColumnCount == 0)
        {
            return;
        }

        Written(to);
        var shape = new RowShape
        {
            Rows = rows,
            Columns = from.ColumnCount,
            XStride = from.Stride,
            YStride = to.Stride,
            Groups = groups,
            WeightPerGroup = factors.ColumnCount == width ? 1 : 0,
            Epsilon = epsilon,
        };
        if (_cuda is not null)
        {
            _cuda.RmsNorm(from, factors, to, shape);
            return;
        }

        ArrayView<float> parts = _statistics.Get((long)rows * groups * PlainRows.NormParts);
        _plain.NormPart(_stream, Grid1((long)rows * groups * PlainRows.NormParts), from.View, parts, shape);
        _plain.NormApply(_stream, Grid1((long)rows * from.ColumnCount), from.View, parts, factors.View, to.View, shape);
    }

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

    /// <inheritdoc />
    public void GatedActivation(DeviceTensor gate, DeviceTensor up, Activation activation, DeviceTensor y, int rows)
    {
        GpuTensor g = Tensor(gate, rows);
        GpuTensor u = Tensor(up, rows);
        GpuTensor to = Tensor(y, rows);
        Require(g.ColumnCount == u.ColumnCount && to.ColumnCount == g.ColumnCount, $"gate, up and y have {g.ColumnCount}, {u.ColumnCount} and {to.ColumnCount} columns");
        if (rows == 0)
        {
            return;
        }

        Written(to);
        var shape = new RowShape { Rows = rows, Columns = g.ColumnCount, XStride = g.Stride, YStride = u.Stride, ZStride = to.Stride, Kind = (int)activation };
        if (_cuda is not null)
        {
            _cuda.Gate(g, u, to, shape);
            return;
        }

        _plain.Gate(_stream, Grid1((long)rows * g.ColumnCount), g.View, u.View, to.View, shape);
    }

    /// <inheritdoc />
    public void Add(DeviceTensor x, DeviceTensor y, float scale, int rows)
    {
        GpuTensor to = Tensor(x, rows);
        GpuTensor from = Tensor(y, rows);
        Require(to.ColumnCount == from.ColumnCount, $"x has {to.ColumnCount} columns, y {from.ColumnCount}");
        if (rows > 0)
        {
            Written(to);
            var shape = new RowShape { Rows = rows, Columns = to.ColumnCount, XStride = to.Stride, YStride = from.Stride, Scale = scale };
            _plain.Add(_stream, Grid1((long)rows * to.ColumnCount), to.View, from.View, shape);
        }
    }

    /// <inheritdoc />
    public void ScaleAndCap(DeviceTensor x, float scale, float cap, int rows)
    {
        GpuTensor to = Tensor(x, rows);
        if (rows > 0)
        {
            Written(to);
            var shape = new RowShape { Rows = rows, Columns = to.ColumnCount, XStride = to.Stride, Scale = scale, Epsilon = cap };
            _plain.ScaleAndCap(_stream, Grid1((long)rows * to.ColumnCount), to.View, shape);
        }
    }

    /// <inheritdoc />
    public void CopyRows(DeviceTensor source, ReadOnlySpan<int> indices, DeviceTensor destination)
    {
        GpuTensor from = Tensor(source, 0);
        GpuTensor to = Tensor(destination, indices.Length);
        Require(from.ColumnCount == to.ColumnCount, $"the source has {from.ColumnCount} columns, the destination {to.ColumnCount}");
        RequireIndices(indices, from);
        if (!indices.IsEmpty)
        {
            Written(to);
            var shape = new RowShape { Rows = indices.Length, Columns = to.ColumnCount, XStride = from.Stride, YStride = to.Stride };
            _plain.CopyRows(_stream, Grid1((long)indices.Length * to.ColumnCount), from.View, UploadIndices(indices), to.View, shape);
        }
    }

    /// <inheritdoc />
    public void ScatterAddRows(DeviceTensor source, ReadOnlySpan<int> indices, ReadOnlySpan<float> scales, DeviceTensor destination)
    {
        GpuTensor from = Tensor(source, indices.Length);
        GpuTensor to = Tensor(destination, 0);
        Require(from.ColumnCount == to.ColumnCount && scales.Length >= indices.Length,
            $"the source has {from.ColumnCount} columns, the destination {to.ColumnCount}; {indices.Length} indices, {scales.Length} scales");
        RequireIndices(indices, to);
        if (!indices.IsEmpty)
        {
            Written(to);
            ArrayView<float> factors = _scales.Get(scales.Length);
            HostCopy.ToDevice(_stream, scales, factors);
            var shape = new RowShape { Rows = indices.Length, Columns = to.ColumnCount, XStride = from.Stride, YStride = to.Stride };
            _plain.ScatterAdd(_stream, Grid1((long)indices.Length * to.ColumnCount), from.View, UploadIndices(indices), factors, to.View, shape);
        }
    }

    /// <inheritdoc />
    public void Clear(DeviceTensor destination, int rows)
    {
        GpuTensor to = Tensor(destination, rows);
        if (rows > 0 && to.ColumnCount > 0)
        {
            Written(to);
            _plain.Clear(_stream, Grid1((long)rows * to.ColumnCount), to.View, new RowShape { Rows = rows, Columns = to.ColumnCount, XStride = to.Stride });
        }
    }

    private static GpuWeight Weight(DeviceWeight weight) =>
        weight as GpuWeight ?? throw new ArgumentException($"a weight of {weight?.GetType().Name} was given to a GPU device", nameof(weight));

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new ArgumentException(message);
        }
    }

    private static void RequireIndices(ReadOnlySpan<int> indices, GpuTensor tensor)
    {
        foreach (int index in indices)
        {
            Require((uint)index < (uint)tensor.RowCapacity, $"row {index} is outside a tensor of {tensor.RowCapacity}");
        }
    }

    private static void RequireProduct(GpuTensor x, GpuWeight weight, DeviceTensor? bias, GpuTensor y)
    {
        Require(!weight.IsGated, "a weight of gates and ups is multiplied with by GatedMatMul alone");
        Require(x.ColumnCount == weight.Inputs && y.ColumnCount == weight.Outputs,
            $"x has {x.ColumnCount} columns and y {y.ColumnCount}; the weight is [{weight.Outputs}, {weight.Inputs}]");
        Require(bias is null || bias.ColumnCount == weight.Outputs, $"the bias has {bias?.ColumnCount} numbers for {weight.Outputs} outputs");
        Require(weight.Host is null, "this embedding was left in host memory and cannot be multiplied with; load the LM head as a weight of its own");
    }

    private static GpuKvArena Arena(KvArena arena, int layer, DeviceTensor? keys)
    {
        var own = arena as GpuKvArena ?? throw new ArgumentException($"an arena of {arena?.GetType().Name} was given to a GPU device", nameof(arena));
        Require((uint)layer < (uint)own.Layers, $"layer {layer} is outside an arena of {own.Layers}");
        Require(keys is null || keys.ColumnCount == own.Columns, $"keys have {keys?.ColumnCount} columns, the arena {own.Columns}");
        return own;
    }

    private static ArrayView<float> From(GpuTensor tensor, int row)
    {
        ArrayView<float> view = tensor.View;
        long skip = (long)row * tensor.Stride;
        return view.SubView(skip, view.Length - skip);
    }

    private unsafe void UploadBytes(TensorData tensor, ArrayView<ushort> destination)
    {
        const long Piece = 32L << 20;
        for (long at = 0; at < destination.Length; at += Piece)
        {
            int length = (int)Math.Min(Piece, destination.Length - at);
            HostCopy.ToDevice(_stream, new ReadOnlySpan<ushort>(tensor.Pointer + (2 * at), length), destination.SubView(at, length));
        }

        GC.KeepAlive(tensor);
    }

    private void GatherOnHost(TensorData embedding, ReadOnlySpan<int> ids, float scale, GpuTensor destination)
    {
        int columns = destination.ColumnCount;
        var rows = new float[ids.Length * columns];
        for (int i = 0; i < ids.Length; i++)
        {
            Span<float> row = rows.AsSpan(i * columns, columns);
            HostDecode.Row(embedding, ids[i], row);
            if (scale != 1)
            {
                for (int k = 0; k < columns; k++)
                {
                    row[k] *= scale;
                }
            }
        }

        Upload(rows, destination, ids.Length);
    }
}
