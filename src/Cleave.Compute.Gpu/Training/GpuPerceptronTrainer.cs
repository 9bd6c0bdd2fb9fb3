using Cleave.Compute.Training;
using ILGPU;
using ILGPU.Runtime;

namespace Cleave.Compute.Gpu.Training;

/// <summary>
/// Trains perceptrons on a GPU: rows, weights and moments stay in its memory, and an update needs nothing of the host but its number.
/// Arithmetic is float32 and every sum has one order, so that equal arguments give equal bits.
/// </summary>
/// <param name="device">Where; stays its owner's.</param>
public sealed class GpuPerceptronTrainer(GpuDevice device) : IPerceptronTrainer
{
    private readonly TrainingKernels _kernels = new(device.Accelerator);

    private AcceleratorStream Stream => device.Accelerator.DefaultStream;

    /// <inheritdoc />
    public void Train(IReadOnlyList<DenseLayer> layers, LabelledRows rows, AdamOptions options, Random random)
    {
        ArgumentNullException.ThrowIfNull(layers);
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(random);
        device.Accelerator.Bind();
        using var memory = new Held();
        int most = Math.Min(options.BatchSize, rows.Rows);
        TrainedLayer[] trained = [.. layers.Select(layer => memory.Keep(new TrainedLayer(device, layer, trained: true)))];
        ArrayView<float> values = memory.Upload<float>(device, rows.Values);
        ArrayView<float> mean = memory.Upload<float>(device, rows.Mean);
        ArrayView<float> scale = memory.Upload<float>(device, rows.Scale);
        ArrayView<int> labels = memory.Upload<int>(device, rows.Labels);
        ArrayView<int> order = memory.Allocate<int>(device, rows.Rows);
        ArrayView<float>[] activations = Activations(memory, layers, most);
        ArrayView<float>[] gradients = Activations(memory, layers, most);
        int[] drawn = [.. Enumerable.Range(0, rows.Rows)];
        int steps = options.Steps(rows.Rows);
        int step = 0;
        for (int epoch = 0; epoch < options.Epochs; epoch++)
        {
            random.Shuffle(drawn);
            Stream.Synchronize();
            HostCopy.ToDevice<int>(Stream, drawn, order);
            for (int first = 0; first < rows.Rows; first += options.BatchSize)
            {
                var batch = new BatchShape { Rows = Math.Min(options.BatchSize, rows.Rows - first), Columns = rows.Columns, First = first };
                _kernels.Pick(values, order, mean, scale, activations[0], batch);
                Forward(trained, activations, batch.Rows);
                _kernels.Loss(activations[^1], trained[^1].Bias, labels, order, batch with { Columns = trained[^1].Outputs });
                Backward(trained, activations, gradients, batch.Rows);
                Update(trained, options.Step(++step, steps));
            }
        }

        foreach (TrainedLayer layer in trained)
        {
            layer.Read(Stream);
        }
    }

    /// <inheritdoc />
    public void Score(IReadOnlyList<DenseLayer> layers, ReadOnlySpan<float> x, Span<float> scores)
    {
        const int Most = 2048;
        ArgumentNullException.ThrowIfNull(layers);
        device.Accelerator.Bind();
        using var memory = new Held();
        TrainedLayer[] loaded = [.. layers.Select(layer => memory.Keep(new TrainedLayer(device, layer, trained: false)))];
        int rows = x.Length / layers[0].Inputs;
        int classes = layers[^1].Outputs;
        ArrayView<float>[] activations = Activations(memory, layers, Math.Min(rows, Most));
        for (int first = 0; first < rows; first += Most)
        {
            int count = Math.Min(Most, rows - first);
            HostCopy.ToDevice(Stream, x.Slice(first * layers[0].Inputs, count * layers[0].Inputs), activations[0]);
            Forward(loaded, activations, count);
            _kernels.AddBias(activations[^1], loaded[^1].Bias, new BatchShape { Rows = count, Columns = classes });
            HostCopy.FromDevice(Stream, activations[^1], scores.Slice(first * classes, count * classes));
        }
    }

    /// <inheritdoc />
    public void Dispose() => Stream.Synchronize();

    // Inputs of every layer, and the last one's output.
    private ArrayView<float>[] Activations(Held memory, IReadOnlyList<DenseLayer> layers, int rows) =>
    [
        memory.Allocate<float>(device, (long)rows * layers[0].Inputs), .. layers.Select(layer => memory.Allocate<float>(device, (long)rows * layer.Outputs)),
    ];

    private void Forward(TrainedLayer[] layers, ArrayView<float>[] activations, int rows)
    {
        for (int i = 0; i < layers.Length; i++)
        {
            _kernels.Forward(activations[i], layers[i], activations[i + 1], rows);
            if (i < layers.Length - 1)
            {
                _kernels.Rectify(activations[i + 1], layers[i].Bias, new BatchShape { Rows = rows, Columns = layers[i].Outputs });
            }
        }
    }

    private void Backward(TrainedLayer[] layers, ArrayView<float>[] activations, ArrayView<float>[] gradients, int rows)
    {
        ArrayView<float> gradient = activations[^1];
        for (int i = layers.Length - 1; i >= 0; i--)
        {
            _kernels.Gradient(gradient, activations[i], layers[i], rows);
            if (i > 0)
            {
                _kernels.Backward(gradient, layers[i], gradients[i], rows);
                _kernels.Mask(gradients[i], activations[i], new BatchShape { Rows = rows, Columns = layers[i].Inputs });
                gradient = gradients[i];
            }
        }
    }

    private void Update(TrainedLayer[] layers, AdamStep step)
    {
        foreach (TrainedLayer layer in layers)
        {
            _kernels.Update(layer.Weight, layer.WeightGradient, layer.WeightFirst, layer.WeightSecond, step.Rate, step.Correction, step.Keep);
            _kernels.Update(layer.Bias, layer.BiasGradient, layer.BiasFirst, layer.BiasSecond, step.Rate, step.Correction, 1);
        }
    }

    /// <summary>Device memory of one call.</summary>
    private sealed class Held : IDisposable
    {
        private readonly List<IDisposable> _held = [];

        public T Keep<T>(T held)
            where T : IDisposable
        {
            _held.Add(held);
            return held;
        }

        public ArrayView<T> Allocate<T>(GpuDevice device, long length)
            where T : unmanaged => Keep(device.Accelerator.Allocate1D<T>(length)).View.BaseView;

        public ArrayView<T> Upload<T>(GpuDevice device, ReadOnlySpan<T> values)
            where T : unmanaged
        {
            ArrayView<T> view = Allocate<T>(device, values.Length);
            HostCopy.ToDevice(device.Accelerator.DefaultStream, values, view);
            return view;
        }

        public void Dispose()
        {
            foreach (IDisposable held in _held)
            {
                held.Dispose();
            }
        }
    }
}
