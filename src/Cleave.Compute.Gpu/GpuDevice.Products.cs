using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Weights, and the products they are for.</summary>
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
        HeldNorm? norm = TakeNorm(x, w, rows);
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
            _cuda!.MatMul(from, norm, w, bias as GpuTensor, to, residual: null, scale: 0, rows);
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

        HeldNorm? norm = TakeNorm(x, w, rows);
        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(residual, rows);
        RequireProduct(from, w, bias, to);
        if (rows > 0)
        {
            Written(to);
            _cuda!.MatMul(from, norm, w, bias as GpuTensor, y: null, to, scale, rows);
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

        HeldNorm? norm = TakeNorm(x, w, rows);
        GpuTensor from = Tensor(x, rows);
        GpuTensor to = Tensor(gate, rows);
        Require(from.ColumnCount == w.Inputs && to.ColumnCount == inner && activation == Activation.Silu,
            $"x has {from.ColumnCount} columns and the gate {to.ColumnCount}, the activation is {activation}; the gated weight is [2 x {inner}, {w.Inputs}] for {Activation.Silu}");
        if (rows > 0)
        {
            Written(to);
            _cuda!.GatedMatMul(from, norm, w, to, rows);
        }
    }

    // The norm that was held back, when x is what it makes and this product can make it.
    private HeldNorm? TakeNorm(DeviceTensor x, GpuWeight weight, int rows)
    {
        if (_held is { } norm && weight.IsPacked && norm.Makes(x, rows) && weight.Inputs == x.ColumnCount)
        {
            _held = null;
            return norm;
        }

        return null;
    }

    private static GpuWeight Weight(DeviceWeight weight) =>
        weight as GpuWeight ?? throw new ArgumentException($"a weight of {weight?.GetType().Name} was given to a GPU device", nameof(weight));

    private static void RequireProduct(GpuTensor x, GpuWeight weight, DeviceTensor? bias, GpuTensor y)
    {
        Require(!weight.IsGated, "a weight of gates and ups is multiplied with by GatedMatMul alone");
        Require(x.ColumnCount == weight.Inputs && y.ColumnCount == weight.Outputs,
            $"x has {x.ColumnCount} columns and y {y.ColumnCount}; the weight is [{weight.Outputs}, {weight.Inputs}]");
        Require(bias is null || bias.ColumnCount == weight.Outputs, $"the bias has {bias?.ColumnCount} numbers for {weight.Outputs} outputs");
        Require(weight.Host is null, "this embedding was left in host memory and cannot be multiplied with; load the LM head as a weight of its own");
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
