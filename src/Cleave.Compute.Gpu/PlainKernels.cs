using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu;

/// <summary>Launchers of the plain kernels, compiled on first use.</summary>
internal sealed class PlainKernels(Accelerator accelerator)
{
    private readonly Dictionary<ElementType, Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<ushort>, ArrayView<float>, MatMulShape>> _partial = [];
    private readonly Dictionary<ElementType, Action<AcceleratorStream, KernelConfig, ArrayView<ushort>, ArrayView<int>, ArrayView<float>, MatMulShape, float>> _gather = [];

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, MatMulShape> Sum =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, MatMulShape>(PlainMatMul.Sum);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, RowShape> NormPart =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, RowShape>(PlainRows.NormPart);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, RowShape> NormApply =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, RowShape>(PlainRows.NormApply);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, RowShape> Gate =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, RowShape>(PlainRows.Gate);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, RowShape> Add =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, RowShape>(PlainRows.Add);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, RowShape> ScaleAndCap =>
        field ??= accelerator.LoadKernel<ArrayView<float>, RowShape>(PlainRows.ScaleAndCap);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, RowShape> Clear =>
        field ??= accelerator.LoadKernel<ArrayView<float>, RowShape>(PlainRows.Clear);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, ArrayView<float>, RowShape> CopyRows =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, ArrayView<float>, RowShape>(PlainRows.CopyRows);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, RowShape> ScatterAdd =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, RowShape>(PlainRows.ScatterAdd);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, TopShape> GroupTop =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, TopShape>(PlainTop.GroupTop);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, TopShape> GroupRank =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, TopShape>(PlainTop.GroupRank);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<float>, TopShape> Top =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<float>, TopShape>(PlainTop.Top);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<float>, TopShape> Rest =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<float>, TopShape>(PlainTop.Rest);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<int>, RopeSizes> Rope =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<int>, RopeSizes>(PlainAttention.Rope);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<ushort>, ArrayView<int>, AttentionSizes> Store =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<ushort>, ArrayView<int>, AttentionSizes>(PlainAttention.Store);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<ushort>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<float>, AttentionSizes> Scores =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<ushort>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<float>, AttentionSizes>(PlainAttention.Scores);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, AttentionSizes> BlockSoftmax =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, AttentionSizes>(PlainAttention.BlockSoftmax);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<ushort>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<float>, AttentionSizes> Values =>
        field ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<ushort>, ArrayView<int>, ArrayView<int>, ArrayView<int>, ArrayView<float>, AttentionSizes>(PlainAttention.Values);

    public Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<ushort>, ArrayView<float>, MatMulShape> Partial(ElementType type)
    {
        if (!_partial.TryGetValue(type, out var launcher))
        {
            _partial[type] = launcher = type switch
            {
                ElementType.F32 => LoadPartial<F32Reader>(),
                ElementType.F16 => LoadPartial<F16Reader>(),
                ElementType.BF16 => LoadPartial<BF16Reader>(),
                ElementType.Q8_0 => LoadPartial<Q8_0Reader>(),
                ElementType.Q4_0 => LoadPartial<Q4_0Reader>(),
                ElementType.Q4_K => LoadPartial<Q4_KReader>(),
                ElementType.Q5_K => LoadPartial<Q5_KReader>(),
                ElementType.Q6_K => LoadPartial<Q6_KReader>(),
                _ => throw new NotSupportedException($"weights of {type} are not supported on a GPU"),
            };
        }

        return launcher;
    }

    public Action<AcceleratorStream, KernelConfig, ArrayView<ushort>, ArrayView<int>, ArrayView<float>, MatMulShape, float> Gather(ElementType type)
    {
        if (!_gather.TryGetValue(type, out var launcher))
        {
            _gather[type] = launcher = type switch
            {
                ElementType.F32 => LoadGather<F32Reader>(),
                ElementType.F16 => LoadGather<F16Reader>(),
                ElementType.BF16 => LoadGather<BF16Reader>(),
                ElementType.Q8_0 => LoadGather<Q8_0Reader>(),
                ElementType.Q4_0 => LoadGather<Q4_0Reader>(),
                ElementType.Q4_K => LoadGather<Q4_KReader>(),
                ElementType.Q5_K => LoadGather<Q5_KReader>(),
                ElementType.Q6_K => LoadGather<Q6_KReader>(),
                _ => throw new NotSupportedException($"embeddings of {type} are not supported on a GPU"),
            };
        }

        return launcher;
    }

    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<ushort>, ArrayView<float>, MatMulShape> LoadPartial<TReader>()
        where TReader : unmanaged, IWeightReader =>
        accelerator.LoadKernel<ArrayView<float>, ArrayView<ushort>, ArrayView<float>, MatMulShape>(PlainMatMul.Partial<TReader>);

    private Action<AcceleratorStream, KernelConfig, ArrayView<ushort>, ArrayView<int>, ArrayView<float>, MatMulShape, float> LoadGather<TReader>()
        where TReader : unmanaged, IWeightReader =>
        accelerator.LoadKernel<ArrayView<ushort>, ArrayView<int>, ArrayView<float>, MatMulShape, float>(PlainMatMul.Gather<TReader>);
}
