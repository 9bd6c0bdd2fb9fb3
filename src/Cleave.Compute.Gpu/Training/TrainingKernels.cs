using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu.Training;

/// <summary>Launches training's kernels, compiled on first use.</summary>
internal sealed class TrainingKernels(Accelerator accelerator)
{
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, TileShape>? _multiply;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, ArrayView<float>, BatchShape>? _pick;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, BatchShape>? _rectify;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, BatchShape>? _addBias;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, BatchShape>? _mask;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<int>, BatchShape>? _loss;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, BatchShape>? _sumRows;
    private Action<AcceleratorStream, KernelConfig, ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, float, float, float>? _update;

    private AcceleratorStream Stream => accelerator.DefaultStream;

    /// <summary>y = x · wᵀ. x: [rows, inputs], y: [rows, outputs].</summary>
    public void Forward(ArrayView<float> x, TrainedLayer layer, ArrayView<float> y, int rows) => Multiply(x, layer.Weight, y, new TileShape
    {
        M = rows,
        N = layer.Outputs,
        K = layer.Inputs,
        AStrideM = layer.Inputs,
        AStrideK = 1,
        BStrideK = 1,
        BStrideN = layer.Inputs,
    });

    /// <summary>The weight's gradient: dyᵀ · x, and the bias's.</summary>
    public void Gradient(ArrayView<float> dy, ArrayView<float> x, TrainedLayer layer, int rows)
    {
        Multiply(dy, x, layer.WeightGradient, new TileShape
        {
            M = layer.Outputs,
            N = layer.Inputs,
            K = rows,
            AStrideM = 1,
            AStrideK = layer.Outputs,
            BStrideK = layer.Inputs,
            BStrideN = 1,
        });
        _sumRows ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, BatchShape>(TrainingRows.SumRows);
        _sumRows(Stream, Grid1(layer.Outputs), dy, layer.BiasGradient, new BatchShape { Rows = rows, Columns = layer.Outputs });
    }

    /// <summary>dx = dy · w.</summary>
    public void Backward(ArrayView<float> dy, TrainedLayer layer, ArrayView<float> dx, int rows) => Multiply(dy, layer.Weight, dx, new TileShape
    {
        M = rows,
        N = layer.Inputs,
        K = layer.Outputs,
        AStrideM = layer.Outputs,
        AStrideK = 1,
        BStrideK = layer.Inputs,
        BStrideN = 1,
    });

    public void Pick(ArrayView<float> rows, ArrayView<int> order, ArrayView<float> mean, ArrayView<float> scale, ArrayView<float> batch, BatchShape shape)
    {
        _pick ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<int>, ArrayView<float>, ArrayView<float>, ArrayView<float>, BatchShape>(TrainingRows.Pick);
        _pick(Stream, Grid1(shape), rows, order, mean, scale, batch, shape);
    }

    public void Rectify(ArrayView<float> y, ArrayView<float> bias, BatchShape shape)
    {
        _rectify ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, BatchShape>(TrainingRows.Rectify);
        _rectify(Stream, Grid1(shape), y, bias, shape);
    }

    public void AddBias(ArrayView<float> y, ArrayView<float> bias, BatchShape shape)
    {
        _addBias ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, BatchShape>(TrainingRows.AddBias);
        _addBias(Stream, Grid1(shape), y, bias, shape);
    }

    public void Mask(ArrayView<float> gradient, ArrayView<float> activation, BatchShape shape)
    {
        _mask ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, BatchShape>(TrainingRows.Mask);
        _mask(Stream, Grid1(shape), gradient, activation, shape);
    }

    public void Loss(ArrayView<float> scores, ArrayView<float> bias, ArrayView<int> labels, ArrayView<int> order, BatchShape shape)
    {
        _loss ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<int>, ArrayView<int>, BatchShape>(TrainingRows.Loss);
        _loss(Stream, new KernelConfig(shape.Rows, TrainingRows.GroupSize), scores, bias, labels, order, shape);
    }

    public void Update(
        ArrayView<float> weights, ArrayView<float> gradient, ArrayView<float> first, ArrayView<float> second, float rate, float correction, float keep)
    {
        _update ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, ArrayView<float>, float, float, float>(TrainingRows.Update);
        _update(Stream, Grid1(weights.IntLength), weights, gradient, first, second, rate, correction, keep);
    }

    private static KernelConfig Grid1(BatchShape shape) => Grid1(checked(shape.Rows * shape.Columns));

    private static KernelConfig Grid1(int threads) => new((threads + TrainingRows.GroupSize - 1) / TrainingRows.GroupSize, TrainingRows.GroupSize);

    private void Multiply(ArrayView<float> a, ArrayView<float> b, ArrayView<float> c, TileShape shape)
    {
        _multiply ??= accelerator.LoadKernel<ArrayView<float>, ArrayView<float>, ArrayView<float>, TileShape>(TileProduct.Multiply);
        int tiles = (shape.M + TileProduct.TileM - 1) / TileProduct.TileM * ((shape.N + TileProduct.TileN - 1) / TileProduct.TileN);
        _multiply(Stream, new KernelConfig(tiles, TileProduct.GroupSize), a, b, c, shape);
    }
}
