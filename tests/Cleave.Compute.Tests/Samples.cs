namespace Cleave.Compute.Tests;

/// <summary>Inputs: shapes with tails, numbers of activation size.</summary>
internal static class Samples
{
    public static float[] Normal(Random random, int count)
    {
        var numbers = new float[count];
        for (int i = 0; i < count; i++)
        {
            double u = 1 - random.NextDouble();
            numbers[i] = (float)(Math.Sqrt(-2 * Math.Log(u)) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return numbers;
    }

    /// <summary>(rows, inputs, outputs): every residue of the tiles and of the lanes.</summary>
    public static IEnumerable<(int Rows, int K, int Outputs)> Shapes(ElementType type)
    {
        int block = type.BlockLength();
        int[] inputs = block == 1 ? [1, 15, 16, 17, 100, 384] : block == 32 ? [32, 96, 384] : [256, 768];
        foreach (int k in inputs)
        {
            foreach ((int rows, int outputs) in new[] { (1, 1), (1, 7), (1, 64), (2, 6), (3, 5), (4, 13), (5, 24), (9, 19) })
            {
                yield return (rows, k, outputs);
            }
        }
    }

    public static IEnumerable<AttentionShape> AttentionShapes() =>
    [
        new(6, 2, 64, 0.125f),
        new(4, 4, 16, 0.25f, SoftCap: 5f),
        new(3, 1, 20, 0.2f, Window: 70),
        new(8, 2, 32, 0.2f, SoftCap: 2f, Window: 64),
        new(5, 1, 96, 0.1f, Window: 1),
    ];
}
