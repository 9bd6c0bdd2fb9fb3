using System.Runtime.InteropServices;

namespace Cleave.Compute.Tests;

/// <summary>BF16 packed to 12 bits gives the bits of BF16 as stored, in every product and for every pattern of bits.</summary>
public sealed class PackedWeightTests
{
    [Theory]
    [InlineData(1, 128)]
    [InlineData(2, 256)]
    [InlineData(5, 640)]
    [InlineData(7, 768)]
    [InlineData(47, 384)]
    [InlineData(48, 512)]
    [InlineData(49, 640)]
    [InlineData(100, 1152)]
    [InlineData(35, 4096)]
    [InlineData(1000, 128)]
    public void Products_have_the_bits_of_the_stored_matrix(int outputs, int inputs)
    {
        var random = new Random(outputs + inputs);
        ushort[] numbers = Gaussian(random, outputs * inputs);

        // Numbers that no table holds: some rows have several, most none.
        foreach (int at in Enumerable.Range(0, 1 + (numbers.Length / 4000)))
        {
            numbers[random.Next(numbers.Length)] = (ushort)random.Next(0, 0x0400);
            numbers[at] = 0x8000;
        }

        AssertSameProducts(random, [numbers], inputs, packed: CpuDevice.PackedBytes(ElementType.BF16, outputs, inputs) is not null);
    }

    [Fact]
    public void Random_shapes_and_contents_have_the_bits_of_the_stored_matrix()
    {
        var random = new Random(31);
        for (int round = 0; round < 30; round++)
        {
            int inputs = 128 * random.Next(1, 12);
            ushort[][] parts = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Content(random, round, random.Next(1, 70) * inputs, inputs))];
            AssertSameProducts(random, parts, inputs, packed: null);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public void Every_pattern_of_bits_comes_back(int kind)
    {
        const int Inputs = 1280;
        const int Outputs = 61;
        var random = new Random(kind);
        using var weight = new Stored(Content(random, kind, Outputs * Inputs, Inputs), Inputs);
        using CpuDevice device = Packing(2);
        using DeviceWeight loaded = device.LoadWeight([weight.Data]);
        using DeviceTensor rows = device.Allocate(Outputs, Inputs);
        device.Gather(loaded, [.. Enumerable.Range(0, Outputs)], 1, rows);
        float[] read = Run.Download(device, rows, Outputs);
        for (int i = 0; i < read.Length; i++)
        {
            Assert.Equal((uint)weight.Numbers[i] << 16, BitConverter.SingleToUInt32Bits(read[i]));
        }
    }

    [Fact]
    public void A_matrix_like_a_trained_one_takes_three_quarters_of_its_bytes_and_gives_them_back()
    {
        const int Inputs = 4096;
        const int Outputs = 300;
        using var weight = new Stored(Gaussian(new Random(4), Outputs * Inputs), Inputs);
        using CpuDevice device = Packing(1);
        long before = device.AllocatedBytes;
        DeviceWeight loaded = device.LoadWeight([weight.Data]);
        if (device.PacksBF16)
        {
            Assert.InRange(loaded.DeviceBytes / (double)weight.Data.ByteLength, 0.75, 0.79);
        }
        else
        {
            Assert.Equal(0, loaded.DeviceBytes);
        }

        Assert.Equal(before + loaded.DeviceBytes, device.AllocatedBytes);
        loaded.Dispose();
        loaded.Dispose();
        Assert.Equal(before, device.AllocatedBytes);
    }

    [Fact]
    public void What_packing_cannot_make_smaller_is_read_as_it_is_stored()
    {
        using CpuDevice device = Packing(2);
        var random = new Random(5);

        // Every high byte equally often; rows that are no whole number of units; another type; a tile that is mostly empty; short rows, which
        // headers outweigh; groups kept whole that take what little would be gained; only gathered from.
        using var evenly = new Stored(Content(random, 5, 30 * 256, 256), 256);
        using var ragged = new Stored(Gaussian(random, 30 * 192), 192);
        using Matrix half = Matrix.Random(random, ElementType.F16, 30, 256);
        using var single = new Stored(Gaussian(random, 4096), 4096);
        using var narrow = new Stored(Gaussian(random, 4 * 128), 128);
        ushort[] numbers = [.. Enumerable.Range(0, 5 * 384).Select(i => (ushort)(0x3c00 + (i % 16 << 8)))];
        numbers[^1] = 0x0100;
        using var margin = new Stored(numbers, 384);
        using var plain = new Stored(Gaussian(random, 30 * 256), 256);
        foreach (TensorData data in (TensorData[])[evenly.Data, ragged.Data, half.Data, single.Data, narrow.Data, margin.Data])
        {
            using DeviceWeight loaded = device.LoadWeight([data]);
            Assert.Equal(0, loaded.DeviceBytes);
        }

        Assert.Null(CpuDevice.PackedBytes(ElementType.BF16, 1, 4096));
        Assert.Null(CpuDevice.PackedBytes(ElementType.BF16, 4, 128));
        Assert.Null(CpuDevice.PackedBytes(ElementType.BF16, 0, 4096));
        Assert.NotNull(CpuDevice.PackedBytes(ElementType.BF16, 5, 384));

        using DeviceWeight embedding = ((IComputeDevice)device).LoadEmbedding(plain.Data);
        Assert.Equal(0, embedding.DeviceBytes);
    }

    [Fact]
    public void A_path_without_the_instructions_reads_what_is_stored()
    {
        using var weight = new Stored(Gaussian(new Random(6), 50 * 256), 256);
        foreach (KernelPath path in CpuDevice.SupportedPaths.Where(path => path != KernelPath.Avx512))
        {
            using var device = new CpuDevice(path, 1, packBF16: true);
            using DeviceWeight loaded = device.LoadWeight([weight.Data]);
            Assert.False(device.PacksBF16);
            Assert.Equal(0, loaded.DeviceBytes);
        }
    }

    private static CpuDevice Packing(int threads) => new(CpuDevice.SupportedPaths[0], threads, packBF16: true);

    private static void AssertSameProducts(Random random, ushort[][] parts, int inputs, bool? packed)
    {
        using var stored = new CpuDevice(threads: 1);
        Stored[] weights = [.. parts.Select(part => new Stored(part, inputs))];
        try
        {
            TensorData[] stacked = [.. weights.Select(weight => weight.Data)];
            using DeviceWeight expected = stored.LoadWeight(stacked);
            float[] x = Samples.Normal(random, 139 * inputs);
            float[] bias = Samples.Normal(random, expected.Outputs);
            foreach (int threads in (int[])[1, 3])
            {
                using CpuDevice device = Packing(threads);
                using DeviceWeight loaded = device.LoadWeight(stacked);
                if (packed is { } wanted)
                {
                    Assert.Equal(wanted && device.PacksBF16, loaded.DeviceBytes > 0);
                }

                // The stored matrix takes panels from 17 rows on; the packed one takes blocks of 64.
                foreach (int rows in (int[])[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 40, 64, 65, 139])
                {
                    float[] some = x[..(rows * inputs)];
                    Check.SameBits(
                        Run.MatMul(stored, expected, some, rows, bias), Run.MatMul(device, loaded, some, rows, bias),
                        $"[{expected.Outputs}, {inputs}], {rows} rows, {threads} threads");
                }
            }
        }
        finally
        {
            Array.ForEach(weights, weight => weight.Dispose());
        }
    }

    private static ushort[] Gaussian(Random random, int count) =>
        [.. Samples.Normal(random, count).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(0.02f * value) >> 16))];

    /// <summary>Numbers of one kind for the whole matrix, some of them nothing that a trained model has.</summary>
    private static ushort[] Content(Random random, int kind, int count, int inputs)
    {
        ushort[] numbers = Gaussian(random, count);
        Func<int, ushort>? change = (kind % 8) switch
        {
            0 => _ => 0,
            1 => i => (ushort)(i % 3 == 0 ? 0x8000 : 0),
            2 => _ => (ushort)(random.Next(2) << 15 | random.Next(128)),
            3 => i => random.Next(500) == 0 ? (ushort)(0x7f80 | (random.Next(2) << 15) | (i % 2 * random.Next(128))) : numbers[i],
            4 => i => (ushort)((numbers[i] & 0x807f) | (0x3c00 + (i / inputs % 2 * 0x0100))),
            5 => _ => (ushort)random.Next(65536),
            6 => i => random.Next(20_000) == 0 ? (ushort)random.Next(65536) : numbers[i],
            _ => null,
        };
        for (int i = 0; change is not null && i < numbers.Length; i++)
        {
            numbers[i] = change(i);
        }

        return numbers;
    }

    /// <summary>BF16 numbers in memory of exactly their length.</summary>
    private sealed unsafe class Stored : IDisposable
    {
        private readonly ushort* _memory;

        public Stored(ushort[] numbers, int inputs)
        {
            Numbers = numbers;
            _memory = (ushort*)NativeMemory.Alloc((nuint)numbers.Length * sizeof(ushort));
            numbers.CopyTo(new Span<ushort>(_memory, numbers.Length));
            Data = new TensorData("stored", ElementType.BF16, [numbers.Length / inputs, inputs], (byte*)_memory, numbers.Length * sizeof(ushort), null);
        }

        public ushort[] Numbers { get; }

        public TensorData Data { get; }

        public void Dispose() => NativeMemory.Free(_memory);
    }
}
