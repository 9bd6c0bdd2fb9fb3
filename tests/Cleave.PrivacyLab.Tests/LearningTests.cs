using Cleave.Compute;
using Cleave.Compute.Training;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Tests;

/// <summary>The learners on problems whose answer is known.</summary>
public sealed class LearningTests
{
    [Fact]
    public void ARidgeFindsTheLinearMapItsPairsCameFrom()
    {
        const int Inputs = 7;
        const int Outputs = 3;
        const int Rows = 400;
        using var device = new CpuDevice();
        using var product = new MatrixProduct(device);
        var random = new Random(2);
        float[] weight = Normals(Outputs * Inputs, random);
        float[] x = Normals(Rows * Inputs, random);
        var y = new float[Rows * Outputs];
        for (int row = 0; row < Rows; row++)
        {
            for (int o = 0; o < Outputs; o++)
            {
                y[(row * Outputs) + o] = 5 + Enumerable.Range(0, Inputs).Sum(i => weight[(o * Inputs) + i] * x[(row * Inputs) + i]);
            }
        }

        DenseLayer map = new RidgeRegression(product, x, Inputs, y, Outputs).Solve(1e-6);

        for (int i = 0; i < weight.Length; i++)
        {
            Assert.Equal(weight[i], map.Weight.Values[i], 1e-3f);
        }

        Assert.All(map.Bias, static bias => Assert.Equal(5, bias, 1e-3f));
    }

    [Fact]
    public void APerceptronLearnsWhatNoLinearMapCan()
    {
        using var device = new CpuDevice();
        using var product = new MatrixProduct(device);
        var random = new Random(3);
        const int Rows = 512;
        var x = new float[2 * Rows];
        var labels = new int[Rows];
        for (int row = 0; row < Rows; row++)
        {
            x[2 * row] = (2 * random.NextSingle()) - 1;
            x[(2 * row) + 1] = (2 * random.NextSingle()) - 1;
            labels[row] = x[2 * row] * x[(2 * row) + 1] > 0 ? 1 : 0;
        }

        Perceptron network = Perceptron.Train(new CpuPerceptronTrainer(product), x, 2, labels, 2, [32], new AdamOptions { Epochs = 60, BatchSize = 32, LearningRate = 3e-3 });

        float[] scores = network.Scores(x);
        int right = Enumerable.Range(0, Rows).Count(row => (scores[(2 * row) + 1] > scores[2 * row]) == (labels[row] == 1));
        Assert.True(right > 0.95 * Rows, $"{right} of {Rows}");
    }

    [Fact]
    public void AnchorsWeighDirectionsByTheirNoise()
    {
        // Classes lie apart along the quiet axis by less than the loud one's noise: plain distance fails there.
        using var device = new CpuDevice();
        using var product = new MatrixProduct(device);
        var random = new Random(4);
        const int Rows = 2000;
        var x = new float[2 * Rows];
        var labels = new int[Rows];
        for (int row = 0; row < Rows; row++)
        {
            labels[row] = row % 2;
            float[] noise = Normals(2, random);
            x[2 * row] = (0.5f * labels[row]) + (0.1f * noise[0]);
            x[(2 * row) + 1] = 10 * noise[1];
        }

        var classes = new GaussianClasses(product, x, 2, labels, 2);
        int right = 0;
        classes.Score(x, (row, scores) => right += (scores[1] > scores[0]) == (labels[row] == 1) ? 1 : 0);
        Assert.True(right > 0.98 * Rows, $"{right} of {Rows}");
    }

    private static float[] Normals(int count, Random random)
    {
        var values = new float[count];
        GaussianFill.Apply(values, random);
        return values;
    }
}
