using Cleave.Inference.Sampling;

namespace Cleave.Inference.Tests.Sampling;

/// <summary>The noise: the published generator, its own function of every key, and of the right distribution.</summary>
public sealed class GumbelNoiseTests
{
    /// <summary>Known answers of Philox4x32-10, as published with the generator (Random123, kat_vectors).</summary>
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void The_generator_gives_its_known_answers(
        uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint x0, uint x1, uint x2, uint x3) =>
        Assert.Equal((x0, x1, x2, x3), GumbelNoise.Philox(c0, c1, c2, c3, k0, k1));

    [Fact]
    public void Every_key_changes_the_noise()
    {
        double noise = GumbelNoise.At(7, 0, 100, 42);
        Assert.Equal(noise, GumbelNoise.At(7, 0, 100, 42));
        Assert.NotEqual(noise, GumbelNoise.At(8, 0, 100, 42));
        Assert.NotEqual(noise, GumbelNoise.At(7UL | (1UL << 40), 0, 100, 42));
        Assert.NotEqual(noise, GumbelNoise.At(7, 1, 100, 42));
        Assert.NotEqual(noise, GumbelNoise.At(7, 0, 101, 42));
        Assert.NotEqual(noise, GumbelNoise.At(7, 0, 100, 43));
    }

    [Fact]
    public void Mean_and_variance_are_a_standard_Gumbels()
    {
        const int Count = 200_000;
        double sum = 0;
        double squares = 0;
        double largest = double.NegativeInfinity;
        for (int i = 0; i < Count; i++)
        {
            double noise = GumbelNoise.At(3, 0, i & 1023, i >> 10);
            sum += noise;
            squares += noise * noise;
            largest = Math.Max(largest, noise);
        }

        double mean = sum / Count;
        Assert.Equal(0.5772157, mean, 0.015); // Euler's constant
        Assert.Equal(Math.PI * Math.PI / 6, (squares / Count) - (mean * mean), 0.05);
        Assert.True(largest < GumbelNoise.Maximum);
    }
}
