using Cleave.Compute.Gpu.Kernels;
using ILGPU;

namespace Cleave.Compute.Gpu;

/// <summary>Norms, gathers of rows and element-wise operations.</summary>
public sealed partial class GpuDevice
{
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
            if (Cuda.CudaKernels.CanHold(from, factors, to, shape))
            {
                _held = new HeldNorm(from, factors, to, shape);
                return;
            }

            _cuda.RmsNorm(from, factors, to, shape);
            return;
        }

        ArrayView<float> parts = _statistics.Get((long)rows * groups * PlainRows.NormParts);
        _plain.NormPart(_stream, Grid1((long)rows * groups * PlainRows.NormParts), from.View, parts, shape);
        _plain.NormApply(_stream, Grid1((long)rows * from.ColumnCount), from.View, parts, factors.View, to.View, shape);
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
}
