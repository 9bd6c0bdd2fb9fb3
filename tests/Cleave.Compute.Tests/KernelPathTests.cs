namespace Cleave.Compute.Tests;

/// <summary>Every kernel path and every number of threads gives the scalar twin's bits, whatever the row count.</summary>
public sealed class KernelPathTests
{
    private static readonly (KernelPath Path, int Threads)[] Others =
        [(KernelPath.Portable, 1), (KernelPath.Avx2, 2), (KernelPath.Avx512, 1), (KernelPath.Avx512, 3)];

    /// <summary>Inputs long enough that products are cut into slices along K, in place and from panels, with short last slices.</summary>
    [Theory]
    [InlineData(2592)]
    [InlineData(4096)]
    [InlineData(1280)]
    public void Long_products_have_the_scalar_bits_on_every_path(int k)
    {
        using var scalar = new CpuDevice(KernelPath.Scalar, 1);
        var random = new Random(21);
        foreach (ElementType type in Enum.GetValues<ElementType>().Where(type => k % type.BlockLength() == 0))
        {
            // 35 outputs: more than one chunk of 32, and no multiple of 2, 4 or 8.
            using Matrix weight = Matrix.Random(random, type, 35, k);
            float[] x = Samples.Normal(random, 17 * k);
            float[] expected = Run.MatMul(scalar, weight, x, 17);
            foreach ((KernelPath path, int threads) in Others)
            {
                using CpuDevice device = CpuPaths.Create(path, threads);
                for (int rows = 1; rows <= 17; rows++)
                {
                    Check.SameBits(expected[..(rows * 35)], Run.MatMul(device, weight, x[..(rows * k)], rows), $"{type}, {path}, {rows} rows");
                }
            }
        }
    }

    [Fact]
    public void Extreme_blocks_of_every_type_have_the_scalar_bits_on_every_path()
    {
        using var scalar = new CpuDevice(KernelPath.Scalar, 1);
        var random = new Random(22);
        foreach (ElementType type in Enum.GetValues<ElementType>().Where(type => type.BlockLength() > 1))
        {
            // Unrestricted bits: negative, subnormal and infinite scales, not-a-number.
            using Matrix weight = Matrix.Unrestricted(random, type, 64, 1024);
            int[] ids = [.. Enumerable.Range(0, 64)];
            float[] expected = Gathered(scalar);
            foreach ((KernelPath path, int threads) in Others)
            {
                using CpuDevice device = CpuPaths.Create(path, threads);
                Check.SameBits(expected, Gathered(device), $"{type}, {path}");
            }

            float[] Gathered(CpuDevice device)
            {
                using DeviceWeight stored = device.LoadWeight([weight.Data]);
                using DeviceTensor rows = device.Allocate(64, 1024);
                device.Gather(stored, ids, 1, rows);
                return Run.Download(device, rows, 64);
            }
        }
    }

    [Fact]
    public void Attention_has_the_scalar_bits_on_every_path()
    {
        foreach (AttentionShape shape in Samples.AttentionShapes())
        {
            foreach (ElementType type in new[] { ElementType.F32, ElementType.F16, ElementType.BF16, ElementType.Q8_0 })
            {
                if (shape.HeadDim % type.BlockLength() == 0)
                {
                    float[] expected = Attend(KernelPath.Scalar, 1, shape, type);
                    foreach ((KernelPath path, int threads) in Others)
                    {
                        Check.SameBits(expected, Attend(path, threads, shape, type), $"{shape}, {type}, {path}");
                    }
                }
            }
        }
    }

    private static float[] Attend(KernelPath path, int threads, AttentionShape shape, ElementType type)
    {
        using CpuDevice device = CpuPaths.Create(path, threads);
        using var scene = AttentionScene.Random(device, new Random(23), shape, type, positions: 200);
        return scene.Chain([.. Enumerable.Range(0, 200)], [1, 40, 64, 65, 129, 200]);
    }
}
