using Cleave.Compute.Gpu.Contract;

namespace Cleave.Compute.Gpu.Tests;

/// <summary>The contract on the plain kernels, on ILGPU's CPU accelerator: shapes are tiny because it is slow.</summary>
public sealed class EmulatorContractTests(EmulatorFixture fixture) : IClassFixture<EmulatorFixture>
{
    private DeviceContract Contract(int seed = 1) => new(fixture.Device, seed);

    [Theory]
    [InlineData(ElementType.F32, 3, 96, 17)]
    [InlineData(ElementType.F32, 9, 33, 5)]
    [InlineData(ElementType.F16, 5, 64, 12)]
    [InlineData(ElementType.BF16, 11, 320, 7)]
    [InlineData(ElementType.Q8_0, 6, 288, 10)]
    [InlineData(ElementType.Q4_0, 2, 64, 10)]
    [InlineData(ElementType.Q4_K, 5, 512, 6)]
    [InlineData(ElementType.Q5_K, 2, 256, 6)]
    [InlineData(ElementType.Q6_K, 3, 256, 6)]
    public void Products_are_right_and_do_not_depend_on_the_row_count(ElementType type, int rows, int inputs, int outputs) =>
        Assert.InRange(Contract().MatMul(type, rows, inputs, outputs, 2, 3, 4, 5), 0, 2e-6);

    [Fact]
    public void Products_of_random_shapes_do_not_depend_on_the_row_count() =>
        Gen.Select(Gen.Int[1, 13], Gen.Int[1, 3], Gen.Int[1, 20], Gen.Int[0, 1000]).Sample(
            (rows, steps, outputs, seed) => Contract(seed).MatMul(ElementType.BF16, rows, 32 * steps, outputs, 1 + (seed % 7)) < 2e-6, iter: 12, threads: 1);

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.Q8_0)]
    [InlineData(ElementType.Q4_0)]
    [InlineData(ElementType.Q4_K)]
    [InlineData(ElementType.Q5_K)]
    [InlineData(ElementType.Q6_K)]
    public void Gathers(ElementType type) => Contract().Gather(type, 256);

    [Theory]
    [InlineData(3, 100, 1)]
    [InlineData(2, 96, 3)]
    public void Norms(int rows, int columns, int groups) => Contract().RmsNorm(rows, columns, groups);

    [Fact]
    public void Products_of_normed_rows() => Assert.InRange(Contract().NormedProducts(ElementType.BF16, 4, 96, 16, 2, 3), 0, 2e-6);

    [Fact]
    public void Element_wise_operations_and_row_moves() => Contract().Elementwise(3, 37);

    [Theory]
    [InlineData(ElementType.F32, 0, 5, 0, 0f, RopeLayout.Interleaved)]
    [InlineData(ElementType.F16, 63, 3, 0, 0f, RopeLayout.Halves)]
    [InlineData(ElementType.BF16, 130, 4, 0, 0f, RopeLayout.Interleaved)]
    [InlineData(ElementType.Q8_0, 62, 4, 0, 0f, RopeLayout.Interleaved)]
    [InlineData(ElementType.F32, 200, 70, 0, 0f, RopeLayout.Interleaved)]
    [InlineData(ElementType.F32, 70, 3, 40, 0f, RopeLayout.Halves)]
    [InlineData(ElementType.F32, 70, 3, 0, 3f, RopeLayout.Halves)]
    public void Attention_over_trees_equals_every_row_alone(ElementType type, int prefix, int chain, int window, float cap, RopeLayout layout) =>
        Assert.InRange(Contract().Attention(type, new AttentionShape(4, 2, 16, 0.25f, cap, window), prefix, chain, layout), 0, 2e-5);

    /// <summary>One row, a few (2 to 8), a batch (9 to 64) and a prompt's worth, all of one schedule: any rows of them by themselves are the same bits.</summary>
    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    [InlineData(ElementType.Q8_0)]
    [InlineData(ElementType.Q4_K)]
    public void Products_are_one_schedule_for_every_class_of_row_counts(ElementType type)
    {
        int inputs = type == ElementType.Q4_K ? 256 : 64;
        Gen.Select(Gen.Int[2, 8], Gen.Int[9, 64], Gen.Int[65, 90], Gen.Int[1, 3], Gen.Int[0, 1000]).Sample(
            (few, many, rows, outputs, seed) => Contract(seed).MatMul(type, rows, inputs, outputs, 1, few, many) < 4e-6, iter: 2, threads: 1);
    }

    [Theory]
    [InlineData(3, 301, 300, 8)]
    [InlineData(1, 5000, 5000, 130)]
    [InlineData(2, 40, 33, 33)]
    [InlineData(2, 3, 1, 1)]
    public void The_largest_numbers_of_rows(int rows, int columns, int count, int k) => Contract().Tops(rows, columns, count, k);

    [Fact]
    public void Wrong_sizes_are_refused() => Contract().Refusals();
}
