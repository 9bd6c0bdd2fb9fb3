using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Compute.Gpu.Training;
using Cleave.Compute.Training;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Tests;

/// <summary>Networks are the same however they are trained: on any number of threads to the bit, on a GPU up to rounding.</summary>
public sealed class TrainerTests
{
    private const int Inputs = 21;
    private const int Classes = 67;

    // The second batch is smaller than the first; no size is a whole number of tiles.
    private static readonly AdamOptions Options = new() { Epochs = 1, BatchSize = 40, LearningRate = 3e-3 };

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void TheNumberOfThreadsShowsInNoBit(int threads)
    {
        (float[] scores, DenseLayer[] layers) = TrainOnCpu(1);
        (float[] others, DenseLayer[] otherLayers) = TrainOnCpu(threads);

        Assert.Equal(scores, others);
        Assert.All(layers.Zip(otherLayers), static pair => Assert.Equal(pair.First.Weight.Values, pair.Second.Weight.Values));
    }

    [Fact]
    public void AGpuTrainsTheSameNetwork()
    {
        (float[] expected, DenseLayer[] onCpu) = TrainOnCpu(1);
        using GpuDevice device = DeviceSelector.OpenEmulator();
        using var trainer = new GpuPerceptronTrainer(device);

        (float[] scores, DenseLayer[] onGpu) = Train(trainer);
        (_, DenseLayer[] again) = Train(trainer);

        DenseLayer[] untrained = FirstLayers();
        Assert.All(onCpu.Zip(untrained), static pair => Assert.True(Distance(pair.First, pair.Second) > 1e-2));
        Assert.All(onCpu.Zip(onGpu), static pair => Assert.True(Distance(pair.First, pair.Second) < 1e-4, $"{Distance(pair.First, pair.Second)}"));
        Assert.All(onGpu.Zip(again), static pair => Assert.Equal(pair.First.Weight.Values, pair.Second.Weight.Values));
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.Equal(expected[i], scores[i], 1e-2f);
        }
    }

    private static (float[] Scores, DenseLayer[] Layers) TrainOnCpu(int threads)
    {
        using var device = new CpuDevice(threads: threads);
        using var product = new MatrixProduct(device);
        using var trainer = new CpuPerceptronTrainer(product);
        return Train(trainer);
    }

    private static (float[] Scores, DenseLayer[] Layers) Train(IPerceptronTrainer trainer)
    {
        const int Rows = 64;
        var random = new Random(5);
        float[] values = [.. Enumerable.Range(0, Rows * Inputs).Select(_ => (4 * random.NextSingle()) - 1)];
        int[] labels = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(Classes))];
        DenseLayer[] layers = FirstLayers();
        trainer.Train(layers, new LabelledRows(values, labels, [.. Enumerable.Repeat(1f, Inputs)], [.. Enumerable.Repeat(0.8f, Inputs)]), Options, new Random(2));
        var scores = new float[Rows * Classes];
        trainer.Score(layers, values, scores);
        return (scores, layers);
    }

    private static DenseLayer[] FirstLayers()
    {
        var random = new Random(3);
        int[] widths = [Inputs, 140, Classes];
        DenseLayer[] layers = [.. widths.Zip(widths[1..], static (from, to) => new DenseLayer(new HostMatrix(to, from), new float[to]))];
        foreach (DenseLayer layer in layers)
        {
            GaussianFill.Apply(layer.Weight.Values, random);
            foreach (ref float value in layer.Weight.Values.AsSpan())
            {
                value *= 0.2f;
            }
        }

        return layers;
    }

    // Of the weights, as a share of their size.
    private static double Distance(DenseLayer a, DenseLayer b)
    {
        double apart = a.Weight.Values.Zip(b.Weight.Values, static (x, y) => (double)(x - y) * (x - y)).Sum();
        return Math.Sqrt(apart / a.Weight.Values.Sum(static x => (double)x * x));
    }
}
