using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu.Cuda;

internal sealed class CudaKernels(CudaAccelerator a, Action<long> b) : IDisposable
{
    public static bool Supports(CudaAccelerator cuda) => Supports(cuda.Architecture);
    public static bool Supports(CudaArchitecture? architecture) => false;
    public void Dispose() { _ = a; _ = b; }
    public void Pack(IReadOnlyList<TensorData> stacked, int outputs, int inputs, ArrayView<ushort> packed) => throw new NotSupportedException();
    public void Gather(GpuWeight weight, ArrayView<int> ids, int rows, float scale, GpuTensor to) => throw new NotSupportedException();
    public void MatMul(GpuTensor x, GpuWeight w, GpuTensor? bias, GpuTensor? y, GpuTensor? residual, float scale, int rows) => throw new NotSupportedException();
    public void RmsNorm(GpuTensor x, GpuTensor w, GpuTensor y, RowShape shape) => throw new NotSupportedException();
    public void Gate(GpuTensor g, GpuTensor u, GpuTensor y, RowShape shape) => throw new NotSupportedException();
    public bool CanRopeAndStore(GpuKvArena arena, int headDim) => throw new NotSupportedException();
    public void RopeAndStore(GpuTensor q, GpuTensor k, GpuTensor v, int headDim, RopeTable t, ArrayView<float> numbers, GpuKvArena arena, int layer, PlanUpload plan, int rows) => throw new NotSupportedException();
    public bool CanAttend(GpuKvArena arena, AttentionShape shape) => throw new NotSupportedException();
    public void Attention(GpuTensor q, GpuKvArena arena, int layer, AttentionPlan plan, PlanUpload up, bool changed, AttentionShape shape, GpuTensor y) => throw new NotSupportedException();
}
