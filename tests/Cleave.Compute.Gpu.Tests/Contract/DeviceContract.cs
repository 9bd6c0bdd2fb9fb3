namespace Cleave.Compute.Gpu.Contract;

/// <summary>
/// What every device must do, checked against double precision and, where the rule is bit equality, against itself. No test framework:
/// the same body runs in the tests and in the program that checks a real GPU. A failed check throws.
/// </summary>
internal sealed partial class DeviceContract(IComputeDevice device, int seed)
{
    private readonly Random _random = new(seed);

    /// <summary>Relative error allowed of a product: 2^-8-ish operands on tensor cores, float32 elsewhere.</summary>
    public double ProductTolerance { get; init; } = 2e-6;

    /// <summary>The same for attention.</summary>
    public double AttentionTolerance { get; init; } = 2e-5;

    /// <summary>Product against double precision; then every row alone and in random batches, bit for bit.</summary>
    public double MatMul(ElementType type, int rows, int inputs, int outputs, params int[] batches)
    {
        var first = new TestTensor(type, outputs - (outputs / 3), inputs, _random);
        var second = new TestTensor(type, outputs / 3, inputs, _random);
        using DeviceWeight weight = device.LoadWeight(outputs / 3 > 0 ? [first.Data, second.Data] : [first.Data]);
        double[] w = [.. first.Values, .. second.Values];
        float[] x = Numbers(rows * inputs);
        float[] bias = Numbers(outputs);
        using DeviceTensor biasTensor = Put(bias, 1, outputs);

        // The input is a view of a wider tensor, the output a view too, when the width allows.
        using DeviceTensor wide = device.Allocate(rows, inputs + 32);
        using DeviceTensor wideOut = device.Allocate(rows, outputs + 8);
        DeviceTensor input = wide.Columns(32, inputs);
        DeviceTensor output = wideOut.Columns(4, outputs);
        device.Upload(x, input, rows);
        Poison(wideOut, rows);
        device.MatMul(input, weight, biasTensor, output, rows);
        float[] y = Get(output, rows);

        var errors = new double[rows];
        var scales = new double[rows];
        Parallel.For(0, rows, row =>
        {
            for (int n = 0; n < outputs; n++)
            {
                double sum = bias[n];
                for (int k = 0; k < inputs; k++)
                {
                    sum += x[(row * inputs) + k] * w[(n * inputs) + k];
                }

                errors[row] = Math.Max(errors[row], Math.Abs(sum - y[(row * outputs) + n]));
                scales[row] = Math.Max(scales[row], Math.Abs(sum));
            }
        });
        double error = errors.Max();
        double scale = scales.Max();
        Check(error / scale <= ProductTolerance, $"{type} product [{rows}, {inputs}] x [{outputs}]: relative error {error / scale:E2} over {ProductTolerance:E1}");

        foreach (int batch in batches.Append(1))
        {
            int start = _random.Next(rows - Math.Min(batch, rows) + 1);
            int count = Math.Min(batch, rows - start);
            using DeviceTensor part = Put(x.AsSpan(start * inputs, count * inputs), count, inputs);
            using DeviceTensor partOut = device.Allocate(count, outputs);
            Poison(partOut, count);
            device.MatMul(part, weight, biasTensor, partOut, count);
            Same(y.AsSpan(start * outputs, count * outputs), Get(partOut, count), $"{type} product, rows {start}..{start + count} of {rows} by themselves");
        }

        // A projection that joins the residual stream.
        float[] residual = Numbers(rows * outputs);
        using DeviceTensor stream = Put(residual, rows, outputs);
        device.MatMulAdd(input, weight, biasTensor, output, 0.5f, stream, rows);
        float[] joined = Get(stream, rows);
        for (int i = 0; i < joined.Length; i++)
        {
            double expected = residual[i] + (0.5 * y[i]);
            Check(Math.Abs(joined[i] - expected) <= 1e-5 * Math.Max(1, scale), $"{type} product joined to a residual: {joined[i]} for {expected}");
        }

        return error / scale;
    }

    /// <summary>A gated feed-forward's first half against double precision, and every batch of its rows bit for bit; then the product that reads it.</summary>
    public double Gated(ElementType type, int rows, int inputs, int inner, params int[] batches)
    {
        var gate = new TestTensor(type, inner, inputs, _random);
        var up = new TestTensor(type, inner, inputs, _random);
        var down = new TestTensor(type, 32, inner, _random);
        using DeviceWeight gateUp = device.LoadGated(gate.Data, up.Data, Activation.Silu);
        using DeviceWeight last = device.LoadWeight([down.Data]);
        float[] x = Numbers(rows * inputs);
        (float[] y, float[] z) = Run(0, rows);
        var errors = new double[rows];
        var scales = new double[rows];
        Parallel.For(0, rows, row =>
        {
            for (int n = 0; n < inner; n++)
            {
                double g = 0;
                double u = 0;
                for (int k = 0; k < inputs; k++)
                {
                    g += x[(row * inputs) + k] * gate.Values[(n * inputs) + k];
                    u += x[(row * inputs) + k] * up.Values[(n * inputs) + k];
                }

                double expected = Activate(g, Activation.Silu) * u;
                errors[row] = Math.Max(errors[row], Math.Abs(expected - y[(row * inner) + n]));
                scales[row] = Math.Max(scales[row], Math.Abs(expected));
            }
        });
        double error = errors.Max() / scales.Max();
        Check(error <= 2 * ProductTolerance, $"{type} gated product [{rows}, {inputs}] x 2·[{inner}]: relative error {error:E2} over {2 * ProductTolerance:E1}");
        foreach (int batch in batches.Append(1))
        {
            int start = _random.Next(rows - Math.Min(batch, rows) + 1);
            int count = Math.Min(batch, rows - start);
            (float[] part, float[] next) = Run(start, count);
            Same(y.AsSpan(start * inner, count * inner), part, $"{type} gated product, rows {start}..{start + count} of {rows} by themselves");
            Same(z.AsSpan(start * 32, count * 32), next, $"{type} product of a gated product, rows {start}..{start + count} of {rows} by themselves");
        }

        return error;

        // Twice: the second time the operand of the next product is packed by the product before it.
        (float[] Y, float[] Z) Run(int start, int count)
        {
            using DeviceTensor input = Put(x.AsSpan(start * inputs, count * inputs), count, inputs);
            using DeviceTensor scratch = device.Allocate(count, 2 * inner);
            using DeviceTensor output = device.Allocate(count, 32);
            DeviceTensor gated = scratch.Columns(0, inner);
            DeviceTensor up = scratch.Columns(inner, inner);
            float[]? first = null;
            for (int turn = 0; turn < 2; turn++)
            {
                Poison(scratch, count);
                device.GatedMatMul(input, gateUp, Activation.Silu, scratch, gated, up, count);
                device.MatMul(gated, last, null, output, count);
                float[] result = Get(output, count);
                if (first is not null)
                {
                    Same(first, result, "a product whose operand its producer packed");
                }

                first = result;
            }

            return (Get(gated, count), first!);
        }
    }

    /// <summary>Decoded rows, exactly up to float32 rounding (binary16 products for Q4_K on tensor cores).</summary>
    public void Gather(ElementType type, int columns)
    {
        var table = new TestTensor(type, 21, columns, _random);
        using DeviceWeight weight = device.LoadEmbedding(table.Data);
        int[] ids = [20, 0, 7, 7, 13];
        using DeviceTensor rows = device.Allocate(ids.Length, columns);
        device.Gather(weight, ids, 1.5f, rows);
        float[] values = Get(rows, ids.Length);
        for (int i = 0; i < values.Length; i++)
        {
            double expected = 1.5 * table.Values[(ids[i / columns] * columns) + (i % columns)];
            Check(Math.Abs(values[i] - expected) <= (type == ElementType.Q4_K ? 3e-3 : 1e-6) * Math.Max(0.2, Math.Abs(expected)), $"{type} row {ids[i / columns]} number {i % columns}: {values[i]} for {expected}");
        }
    }

    /// <summary>The largest numbers of rows, ties and all, as the host finds them; their mass up to rounding.</summary>
    public double Tops(int rows, int columns, int count, int k)
    {
        float[] x = Numbers(rows * columns);
        for (int i = 0; i < x.Length; i += 3)
        {
            // Many equal numbers: the lowest column comes first.
            x[i] = MathF.Round(x[i] * 4) / 4;
        }

        int[] asked = [0, count - 1, count / 2];
        using DeviceTensor wide = device.Allocate(rows, columns + 16);
        DeviceTensor view = wide.Columns(8, columns);
        device.Upload(x, view, rows);
        var found = new TopRows(count, k, 1 / 0.7f, asked);
        device.TopOf(view, rows, found);
        var expected = new TopRows(count, k, 1 / 0.7f, asked);
        expected.Prepare(rows);
        double error = 0;
        for (int row = 0; row < rows; row++)
        {
            expected.Fill(row, x.AsSpan(row * columns, columns));
            error = Math.Max(error, Math.Abs(found.Sums[row] - expected.Sums[row]) / expected.Sums[row]);
        }

        Check(found.Columns.AsSpan().SequenceEqual(expected.Columns), $"columns of the {k} largest of {count}: [{string.Join(' ', found.Columns)}] for [{string.Join(' ', expected.Columns)}]");
        Same(expected.Values, found.Values, $"the {k} largest of {count}");
        Same(expected.AskedValues, found.AskedValues, "numbers asked for");
        Check(error < 1e-5, $"mass of {count} numbers: relative error {error:E2}");

        // A row by itself.
        using DeviceTensor one = Put(x.AsSpan((rows - 1) * columns, columns), 1, columns);
        var alone = new TopRows(count, k, 1 / 0.7f, asked);
        device.TopOf(one, 1, alone);
        Check(alone.Sums[0] == found.Sums[rows - 1], "mass of a row alone");
        return error;
    }

    /// <summary>Norms of whole rows and of groups, in place too, each row alike alone.</summary>
    public void RmsNorm(int rows, int columns, int groups)
    {
        float[] x = Numbers(rows * columns);
        float[] w = Numbers(columns / groups);
        using DeviceTensor input = Put(x, rows, columns);
        using DeviceTensor weight = Put(w, 1, columns / groups);
        using DeviceTensor output = device.Allocate(rows, columns);
        device.RmsNorm(input, weight, 1e-5f, output, rows, groups);
        float[] y = Get(output, rows);
        int width = columns / groups;
        for (int at = 0; at < y.Length; at += width)
        {
            double mean = x.AsSpan(at, width).ToArray().Sum(v => (double)v * v) / width;
            for (int i = 0; i < width; i++)
            {
                Near(y[at + i], x[at + i] / Math.Sqrt(mean + 1e-5) * w[i], 1e-5, "norm");
            }
        }

        device.RmsNorm(input, weight, 1e-5f, input, rows, groups);
        Same(y, Get(input, rows), "norm in place");
        using DeviceTensor one = Put(x.AsSpan((rows - 1) * columns, columns), 1, columns);
        device.RmsNorm(one, weight, 1e-5f, one, 1, groups);
        Same(y.AsSpan((rows - 1) * columns), Get(one, 1), "norm of one row");
    }

    /// <summary>Element-wise operations and row moves.</summary>
    public void Elementwise(int rows, int columns)
    {
        float[] a = Numbers(rows * columns * 2);
        using DeviceTensor both = Put(a, rows, columns * 2);
        foreach (Activation activation in Enum.GetValues<Activation>())
        {
            using DeviceTensor y = device.Allocate(rows, columns);
            device.GatedActivation(both.Columns(0, columns), both.Columns(columns, columns), activation, y, rows);
            float[] values = Get(y, rows);
            for (int i = 0; i < values.Length; i++)
            {
                double g = a[(i / columns * columns * 2) + (i % columns)];
                double u = a[(i / columns * columns * 2) + columns + (i % columns)];
                Near(values[i], Activate(g, activation) * u, 2e-6, activation.ToString());
            }
        }

        float[] p = Numbers(rows * columns);
        float[] q = Numbers(rows * columns);
        using DeviceTensor x = Put(p, rows, columns);
        using DeviceTensor z = Put(q, rows, columns);
        device.Add(x, z, 0.25f, rows);
        float[] added = Get(x, rows);
        device.ScaleAndCap(z, 3, 2, rows);
        float[] capped = Get(z, rows);
        for (int i = 0; i < p.Length; i++)
        {
            Near(added[i], p[i] + (0.25 * q[i]), 1e-6, "add");
            Near(capped[i], 2 * Math.Tanh(q[i] * 3.0 / 2), 1e-5, "cap");
        }

        int[] order = [.. Enumerable.Range(0, rows).Reverse()];
        using DeviceTensor moved = device.Allocate(rows, columns);
        device.CopyRows(x, order, moved);
        float[] copied = Get(moved, rows);
        Same(added.AsSpan(0, columns), copied.AsSpan((rows - 1) * columns, columns), "copied rows");
        device.ScatterAddRows(x, order, Enumerable.Repeat(2f, rows).ToArray(), moved);
        float[] scattered = Get(moved, rows);
        for (int i = 0; i < scattered.Length; i++)
        {
            Near(scattered[i], 3.0 * copied[i], 1e-5, "scatter");
        }

        device.Clear(moved, rows);
        Check(Get(moved, rows).All(v => v == 0), "cleared rows are zero");
    }

    /// <summary>Wrong sizes are refused by name.</summary>
    public void Refusals()
    {
        using DeviceTensor small = device.Allocate(2, 32);
        using DeviceTensor other = device.Allocate(2, 64);
        Refuses(() => device.Add(small, other, 1, 2));
        Refuses(() => device.Add(small, small, 1, 3));
        Refuses(() => device.Upload(new float[3], small, 1));
        var tensor = new TestTensor(ElementType.F32, 4, 64, _random);
        using DeviceWeight weight = device.LoadWeight([tensor.Data]);
        Refuses(() => device.MatMul(small, weight, null, other, 1));
        Refuses(() => device.Gather(weight, [4], 1, other));
        Refuses(() => device.AllocateKv(1, 1, 256, ElementType.Q6_K));
    }

    private static void Refuses(Action action)
    {
        try
        {
            action();
        }
        catch (ArgumentException)
        {
            return;
        }

        throw new InvalidOperationException("a wrong size was accepted");
    }

    private static void Near(float actual, double expected, double tolerance, string what) =>
        Check(Math.Abs(actual - expected) <= tolerance * Math.Max(1, Math.Abs(expected)), $"{what}: {actual} for {expected}");

    private static void Same(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            Check(BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]), $"{what}: number {i} is {actual[i]:R}, {expected[i]:R} before");
        }
    }

    private static void Check(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidOperationException(message);
        }
    }

    private float[] Numbers(int count)
    {
        var numbers = new float[count];
        for (int i = 0; i < count; i++)
        {
            numbers[i] = (float)((_random.NextDouble() * 3) - 1.5);
        }

        return numbers;
    }

    private DeviceTensor Put(ReadOnlySpan<float> values, int rows, int columns)
    {
        DeviceTensor tensor = device.Allocate(rows, columns);
        if (values.Length > 0)
        {
            device.Upload(values, tensor, rows);
        }

        return tensor;
    }

    private float[] Get(DeviceTensor tensor, int rows)
    {
        var values = new float[rows * tensor.ColumnCount];
        device.Download(tensor, rows, values);
        return values;
    }

    private void Poison(DeviceTensor tensor, int rows) =>
        device.Upload(Enumerable.Repeat(float.NaN, rows * tensor.ColumnCount).ToArray(), tensor, rows);
}
