namespace Cleave.Compute.Tests;

/// <summary>
/// What every <see cref="IComputeDevice"/> promises: agreement with double precision, rows independent of each other, trees
/// equal to their chains. One body, run on every implementation there is.
/// </summary>
public abstract class DeviceContract
{
    /// <summary>The device under test.</summary>
    protected abstract IComputeDevice Create();

    /// <summary>Weight types the device reads.</summary>
    protected virtual IEnumerable<ElementType> WeightTypes => Enum.GetValues<ElementType>();

    private static readonly ElementType[] CacheTypes = [ElementType.F32, ElementType.F16, ElementType.BF16, ElementType.Q8_0];

    [Fact]
    public void Matrix_products_agree_with_double_precision()
    {
        using IComputeDevice device = Create();
        var random = new Random(1);
        foreach (ElementType type in WeightTypes)
        {
            foreach ((int rows, int k, int outputs) in Samples.Shapes(type))
            {
                using Matrix weight = Matrix.Random(random, type, outputs, k);
                float[] x = Samples.Normal(random, rows * k);
                float[] bias = Samples.Normal(random, outputs);
                float[] actual = Run.MatMul(device, weight, x, rows, bias);
                double[] expected = Reference.MatMul(weight, x, rows, bias);
                Check.Close(expected, actual, 2e-6, $"{type} {rows}x{k}x{outputs}");
            }
        }
    }

    [Fact]
    public void A_row_of_a_product_does_not_depend_on_the_rows_beside_it()
    {
        using IComputeDevice device = Create();
        var random = new Random(2);
        foreach (ElementType type in WeightTypes)
        {
            int k = type.BlockLength() == 1 ? 203 : 512;
            using Matrix weight = Matrix.Random(random, type, 45, k);
            float[] x = Samples.Normal(random, 70 * k);
            float[] single = [.. Enumerable.Range(0, 70).SelectMany(row => Run.MatMul(device, weight, x[(row * k)..((row + 1) * k)], 1))];
            for (int rows = 1; rows <= 70; rows += rows < 14 ? 1 : 7)
            {
                Check.SameBits(single[..(rows * 45)], Run.MatMul(device, weight, x[..(rows * k)], rows), $"{type}, {rows} rows");
            }
        }
    }

    [Fact]
    public void Stacked_weights_give_the_bits_of_their_parts()
    {
        using IComputeDevice device = Create();
        var random = new Random(3);
        using Matrix first = Matrix.Random(random, ElementType.Q8_0, 37, 64);
        using Matrix second = Matrix.Random(random, ElementType.Q8_0, 5, 64);
        float[] x = Samples.Normal(random, 3 * 64);
        foreach (int rows in new[] { 1, 3 })
        {
            using DeviceWeight weight = device.LoadWeight([first.Data, second.Data]);
            float[] whole = Run.MatMul(device, weight, x[..(rows * 64)], rows);
            float[] upper = Run.MatMul(device, first, x[..(rows * 64)], rows);
            float[] lower = Run.MatMul(device, second, x[..(rows * 64)], rows);
            float[] joined = [.. Enumerable.Range(0, rows).SelectMany(r => upper[(r * 37)..((r + 1) * 37)].Concat(lower[(r * 5)..((r + 1) * 5)]))];
            Check.SameBits(joined, whole, $"{rows} rows");
        }
    }

    [Fact]
    public void Views_of_columns_and_rows_work_everywhere()
    {
        using IComputeDevice device = Create();
        var random = new Random(4);
        using Matrix weight = Matrix.Random(random, ElementType.Q8_0, 33, 64);
        using DeviceWeight loaded = device.LoadWeight([weight.Data]);
        using DeviceTensor wide = device.Allocate(9, 200);
        float[] x = Samples.Normal(random, 9 * 200);
        device.Upload(x, wide, 9);
        using DeviceTensor output = device.Allocate(9, 100);
        device.Clear(output, 9);
        device.MatMul(wide.Columns(33, 64).Rows(2, 5), loaded, null, output.Rows(1, 5).Columns(7, 33), 5);
        float[] all = new float[9 * 100];
        device.Download(output, 9, all);
        float[] part = [.. Enumerable.Range(2, 5).SelectMany(r => x[((r * 200) + 33)..((r * 200) + 97)])];
        float[] expected = Run.MatMul(device, weight, part, 5);
        for (int r = 0; r < 9; r++)
        {
            for (int c = 0; c < 100; c++)
            {
                bool inside = r is >= 1 and < 6 && c is >= 7 and < 40;
                Assert.Equal(inside ? expected[((r - 1) * 33) + c - 7] : 0f, all[(r * 100) + c]);
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(17, 1)]
    [InlineData(384, 1)]
    [InlineData(405, 1)]
    [InlineData(192, 6)]
    public void Norms_agree_with_double_precision(int columns, int groups)
    {
        using IComputeDevice device = Create();
        var random = new Random(5);
        const int Rows = 70;
        float[] x = Samples.Normal(random, Rows * columns);
        float[] weight = Samples.Normal(random, columns / groups);
        using DeviceTensor input = Run.Upload(device, x, Rows);
        using DeviceTensor factors = Run.Upload(device, weight, 1);
        using DeviceTensor output = device.Allocate(Rows, columns);
        device.RmsNorm(input, factors, 1e-5f, output, Rows, groups);
        float[] actual = Run.Download(device, output, Rows);
        Check.Close(Reference.RmsNorm(x, weight, 1e-5, Rows, groups), actual, 1e-6, "norm");

        device.RmsNorm(input, factors, 1e-5f, input, Rows, groups);
        Check.SameBits(actual, Run.Download(device, input, Rows), "in place");
    }

    [Fact]
    public void Activations_agree_with_double_precision()
    {
        using IComputeDevice device = Create();
        var random = new Random(6);
        float[] gate = [.. Samples.Normal(random, 3 * 203).Select(v => v * 4), -100f, 100f, -0f, 0f, 1e-30f, -20f, 20f];
        int columns = gate.Length / 2;
        gate = gate[..(2 * columns)];
        float[] up = Samples.Normal(random, gate.Length);
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            using DeviceTensor g = Run.Upload(device, gate, 2);
            using DeviceTensor u = Run.Upload(device, up, 2);
            device.GatedActivation(g, u, activation, g, 2);
            Check.Close(Reference.Gated(activation, gate, up), Run.Download(device, g, 2), 3e-7, $"{activation}");
        }
    }

    [Fact]
    public void Scaling_capping_adding_copying_and_scattering_agree_with_double_precision()
    {
        using IComputeDevice device = Create();
        var random = new Random(7);
        float[] x = [.. Samples.Normal(random, 5 * 37).Select(v => v * 30)];
        float[] y = Samples.Normal(random, 5 * 37);
        using DeviceTensor a = Run.Upload(device, x, 5);
        using DeviceTensor b = Run.Upload(device, y, 5);
        device.ScaleAndCap(a, 0.5f, 20f, 5);
        Check.Close([.. x.Select(v => 20 * Math.Tanh(v * 0.5 / 20))], Run.Download(device, a, 5), 3e-7, "cap");

        device.Upload(x, a, 5);
        device.ScaleAndCap(a, 0.25f, 0, 5);
        Check.Close([.. x.Select(v => v * 0.25)], Run.Download(device, a, 5), 0, "scale");

        device.Upload(x, a, 5);
        device.Add(a, b, 1.5f, 5);
        Check.Close([.. x.Zip(y, (p, q) => p + (1.5 * q))], Run.Download(device, a, 5), 1e-7, "add");

        using DeviceTensor copied = device.Allocate(3, 37);
        device.CopyRows(b, [4, 0, 4], copied);
        Check.SameBits([.. y[(4 * 37)..], .. y[..37], .. y[(4 * 37)..]], Run.Download(device, copied, 3), "copy");

        device.Upload(x, a, 5);
        device.ScatterAddRows(copied, [3, 0], [2f, -1f], a);
        double[] expected = [.. x.Select(v => (double)v)];
        for (int c = 0; c < 37; c++)
        {
            expected[(3 * 37) + c] += 2.0 * y[(4 * 37) + c];
            expected[c] -= y[c];
        }

        Check.Close(expected, Run.Download(device, a, 5), 1e-7, "scatter");
    }

    [Fact]
    public void Gathered_rows_are_the_stored_numbers()
    {
        using IComputeDevice device = Create();
        var random = new Random(8);
        foreach (ElementType type in WeightTypes)
        {
            int k = type.BlockLength() == 1 ? 77 : 256;
            using Matrix matrix = Matrix.Random(random, type, 11, k);
            using DeviceWeight weight = device.LoadWeight([matrix.Data]);
            using DeviceTensor output = device.Allocate(3, k);
            device.Gather(weight, [10, 0, 7], 2f, output);
            float[] actual = Run.Download(device, output, 3);
            float[] expected = [.. new[] { 10, 0, 7 }.SelectMany(id => matrix.Decoded[(id * k)..((id + 1) * k)]).Select(v => (float)(v * 2))];
            Check.SameBits(expected, actual, $"{type}");
        }
    }

    [Theory]
    [InlineData(RopeLayout.Interleaved, 64, 64)]
    [InlineData(RopeLayout.Halves, 64, 64)]
    [InlineData(RopeLayout.Interleaved, 20, 12)]
    [InlineData(RopeLayout.Halves, 22, 10)]
    public void Rotation_agrees_with_double_precision(RopeLayout layout, int headDim, int rotated)
    {
        using IComputeDevice device = Create();
        var random = new Random(9);
        double[] frequencies = [.. Enumerable.Range(0, rotated / 2).Select(i => Math.Pow(10000, -2.0 * i / rotated))];
        var table = new RopeTable(frequencies, layout);
        var plan = new AttentionPlan();
        int[] positions = [0, 1, 63, 64, 300];
        foreach (int position in positions)
        {
            plan.AddRow(plan.AddTable(Enumerable.Range(0, position).ToArray()), position, [position]);
        }

        float[] x = Samples.Normal(random, positions.Length * headDim * 3);
        using DeviceTensor tensor = Run.Upload(device, x, positions.Length);
        device.Rope(tensor, headDim, table, plan);
        Check.Close(Reference.Rope(x, headDim, frequencies, layout, positions), Run.Download(device, tensor, positions.Length), 3e-7, $"{layout}");
    }

    [Fact]
    public void Attention_agrees_with_double_precision()
    {
        using IComputeDevice device = Create();
        foreach (AttentionShape shape in Samples.AttentionShapes())
        {
            foreach (ElementType type in CacheTypes.Where(t => shape.HeadDim % t.BlockLength() == 0))
            {
                using var scene = AttentionScene.Random(device, new Random(10), shape, type, positions: 200);
                int[] path = [.. Enumerable.Range(0, 200)];
                int[] lengths = [1, 2, 63, 64, 65, 128, 150, 200];
                float[] actual = scene.Chain(path, lengths);
                Check.Close(scene.Expected(path, lengths), actual, 2e-6, $"{shape} {type}");
            }
        }
    }

    [Fact]
    public void A_tree_gives_the_bits_of_its_root_to_leaf_chains()
    {
        using IComputeDevice device = Create();
        foreach (AttentionShape shape in Samples.AttentionShapes())
        {
            const int Committed = 250;
            using var scene = AttentionScene.Random(device, new Random(11), shape, ElementType.F32, positions: 400);
            var random = new Random(12);

            // 60 live rows behind 250 committed positions: depths pass the border at 256 and, chained, the one at 320.
            int[] parents = new int[60];
            for (int row = 0; row < parents.Length; row++)
            {
                parents[row] = row == 0 ? -1 : random.Next(10) < 8 ? row - 1 : random.Next(-1, row);
            }

            int[] committed = [.. Enumerable.Range(0, Committed).OrderBy(_ => random.Next())];
            float[] tree = scene.Tree(committed, parents);
            int width = shape.Heads * shape.HeadDim;
            for (int row = 0; row < parents.Length; row++)
            {
                var path = new List<int>();
                for (int node = row; node >= 0; node = parents[node])
                {
                    path.Insert(0, Committed + node);
                }

                // The chain in other slots: position p of the path is stored in slot p of a fresh scene.
                float[] chain = scene.Copied([.. committed, .. path], Committed + row);
                Check.SameBits(chain, tree[(row * width)..((row + 1) * width)], $"{shape} row {row}");
            }
        }
    }

    [Fact]
    public void A_row_of_attention_does_not_depend_on_the_rows_beside_it()
    {
        using IComputeDevice device = Create();
        foreach (ElementType type in CacheTypes)
        {
            var shape = new AttentionShape(6, 2, 32, 0.2f);
            using var scene = AttentionScene.Random(device, new Random(13), shape, type, positions: 330);
            int[] path = [.. Enumerable.Range(0, 330)];
            int[] lengths = [.. Enumerable.Range(0, 70).Select(i => 1 + (i * 47 % 330))];
            float[] together = scene.Chain(path, lengths);
            float[] apart = [.. lengths.SelectMany((length, i) => scene.Chain(path, [length], firstQuery: i))];
            Check.SameBits(apart, together, $"{type}");
        }
    }

    [Fact]
    public void Not_a_number_is_never_hidden()
    {
        using IComputeDevice device = Create();
        var random = new Random(14);
        foreach (int rows in new[] { 1, 5 })
        {
            using Matrix weight = Matrix.Random(random, ElementType.Q8_0, 9, 96);
            float[] x = Samples.Normal(random, rows * 96);
            x[95] = float.NaN;
            float[] y = Run.MatMul(device, weight, x, rows);
            Assert.All(y[..9], v => Assert.True(float.IsNaN(v)));
            Assert.All(y[9..], v => Assert.False(float.IsNaN(v)));
        }

        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            using DeviceTensor gate = Run.Upload(device, [float.NaN, 1f], 1);
            using DeviceTensor up = Run.Upload(device, [1f, float.NaN], 1);
            device.GatedActivation(gate, up, activation, gate, 1);
            Assert.All(Run.Download(device, gate, 1), v => Assert.True(float.IsNaN(v)));
        }

        using DeviceTensor capped = Run.Upload(device, [float.NaN], 1);
        device.ScaleAndCap(capped, 1f, 5f, 1);
        Assert.True(float.IsNaN(Run.Download(device, capped, 1)[0]));

        var shape = new AttentionShape(2, 1, 32, 0.2f);
        foreach (ElementType type in CacheTypes)
        {
            using var scene = AttentionScene.Random(device, random, shape, type, positions: 100, poisonedPosition: 70);
            int[] path = [.. Enumerable.Range(0, 100)];
            Assert.All(scene.Chain(path, [70]), v => Assert.False(float.IsNaN(v)));
            Assert.All(scene.Chain(path, [71]), v => Assert.True(float.IsNaN(v)));
            Assert.All(scene.Chain(path, [100]), v => Assert.True(float.IsNaN(v)));
        }
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused_with_both_shapes()
    {
        using IComputeDevice device = Create();
        using Matrix weight = Matrix.Random(new Random(15), ElementType.F32, 5, 8);
        using DeviceWeight loaded = device.LoadWeight([weight.Data]);
        using DeviceTensor x = device.Allocate(2, 9);
        using DeviceTensor y = device.Allocate(2, 5);
        ArgumentException error = Assert.Throws<ArgumentException>(() => device.MatMul(x, loaded, null, y, 2));
        Assert.Contains("[5, 8]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[2, 9]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => device.MatMul(x.Columns(0, 8), loaded, null, y, 3));
        Assert.Throws<ArgumentException>(() => device.Add(x, y, 1, 1));
        Assert.Throws<ArgumentException>(() => x.Columns(5, 5));
        Assert.Throws<ArgumentException>(() => device.Gather(loaded, [5], 1, x.Columns(0, 8)));
        Assert.Throws<ArgumentException>(() => device.CopyRows(x, [2], x));

        using KvArena arena = device.AllocateKv(1, 4, 8, ElementType.F32);
        var plan = new AttentionPlan();
        plan.AddRow(plan.AddTable([]), 0, [4]);
        Assert.Throws<ArgumentException>(() => device.StoreKv(x.Columns(0, 8), x.Columns(0, 8), arena, 0, plan));
    }
}
