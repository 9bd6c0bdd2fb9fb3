using Cleave.Compute.Gpu.Kernels;

namespace Cleave.Compute.Gpu;

/// <summary>A norm of few rows that has not been queued yet: a product that reads its result next makes it itself, with the same bits.</summary>
/// <param name="From">Rows.</param>
/// <param name="Factors">Weights.</param>
/// <param name="To">Result.</param>
/// <param name="Shape">Sizes and strides.</param>
internal sealed record HeldNorm(GpuTensor From, GpuTensor Factors, GpuTensor To, RowShape Shape)
{
    /// <summary>True when <paramref name="x"/> is this norm's result, all of it.</summary>
    public bool Makes(DeviceTensor x, int rows) =>
        x is GpuTensor own && ReferenceEquals(own.Buffer, To.Buffer) && own.Offset == To.Offset && own.ColumnCount == To.ColumnCount && own.Stride == To.Stride && rows == Shape.Rows;
}
