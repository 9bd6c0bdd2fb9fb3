using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>Decodes numbers of one stored row. Every element type's row is a whole number of 16-bit units.</summary>
internal interface IWeightReader
{
    /// <summary>Number <paramref name="k"/> of the row that starts at unit <paramref name="row"/>.</summary>
    float Read(ArrayView<ushort> weight, long row, int k);
}
