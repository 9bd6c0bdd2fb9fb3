namespace Cleave.Compute.Gpu.Contract;

internal sealed partial class DeviceContract
{
    /// <summary>
    /// Products of normed rows, which a device may make in one pass when rows are few: plain, gated and joined to a stream, the norm itself
    /// when a product has read it, and a second product of it. Against double precision, then every batch of rows bit for bit.
    /// </summary>
    public double NormedProducts(ElementType type, int rows, int inputs, int outputs, params int[] batches)
    {
        var matrix = new TestTensor(type, outputs, inputs, _random);
        var gate = new TestTensor(type, outputs, inputs, _random);
        var up = new TestTensor(type, outputs, inputs, _random);
        using DeviceWeight weight = device.LoadWeight([matrix.Data]);
        using DeviceWeight gateUp = device.LoadGated(gate.Data, up.Data, Activation.Silu);
        float[] factors = Numbers(inputs);
        using DeviceTensor norm = Put(factors, 1, inputs);
        float[] x = Numbers(rows * inputs);
        float[] stream = Numbers(rows * outputs);
        float[][] all = Run(0, rows);
        double error = 0;
        double scale = 0;
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> own = x.AsSpan(row * inputs, inputs);
            double mean = 0;
            foreach (float value in own)
            {
                mean += (double)value * value / inputs;
            }

            var normed = new double[inputs];
            for (int k = 0; k < inputs; k++)
            {
                normed[k] = own[k] / Math.Sqrt(mean + 1e-5) * factors[k];
                Near(all[0][(row * inputs) + k], normed[k], 1e-5, "norm that a product has read");
            }

            for (int n = 0; n < outputs; n++)
            {
                double sum = 0;
                for (int k = 0; k < inputs; k++)
                {
                    sum += normed[k] * matrix.Values[(n * inputs) + k];
                }

                error = Math.Max(error, Math.Abs(sum - all[1][(row * outputs) + n]));
                scale = Math.Max(scale, Math.Abs(sum));
            }
        }

        Check(error / scale <= ProductTolerance, $"{type} product of normed rows [{rows}, {inputs}] x [{outputs}]: relative error {error / scale:E2} over {ProductTolerance:E1}");
        Same(all[1], all[2], "a second product of normed rows");
        foreach (int batch in batches.Append(1))
        {
            int start = _random.Next(rows - Math.Min(batch, rows) + 1);
            int count = Math.Min(batch, rows - start);
            float[][] part = Run(start, count);
            for (int i = 0; i < all.Length; i++)
            {
                int width = i == 0 ? inputs : outputs;
                Same(all[i].AsSpan(start * width, count * width), part[i], $"{type} normed rows {start}..{start + count} of {rows} by themselves, result {i}");
            }
        }

        return error / scale;

        float[][] Run(int start, int count)
        {
            using DeviceTensor input = Put(x.AsSpan(start * inputs, count * inputs), count, inputs);
            using DeviceTensor joined = Put(stream.AsSpan(start * outputs, count * outputs), count, outputs);
            using DeviceTensor normed = device.Allocate(count, inputs);
            using DeviceTensor y = device.Allocate(count, outputs);
            using DeviceTensor again = device.Allocate(count, outputs);
            using DeviceTensor products = device.Allocate(count, 2 * outputs);
            Poison(normed, count);
            Poison(y, count);
            device.RmsNorm(input, norm, 1e-5f, normed, count);
            device.MatMul(normed, weight, null, y, count);
            device.MatMul(normed, weight, null, again, count);
            device.RmsNorm(input, norm, 1e-5f, normed, count);
            device.GatedMatMul(normed, gateUp, Activation.Silu, products, products.Columns(0, outputs), products.Columns(outputs, outputs), count);
            float[] gated = Get(products.Columns(0, outputs), count);
            device.RmsNorm(input, norm, 1e-5f, normed, count);
            device.MatMulAdd(normed, weight, null, y, 0.5f, joined, count);
            float[] together = Get(joined, count);

            // A norm that nothing reads before the host does; then the product whose result was overwritten as scratch.
            device.RmsNorm(input, norm, 1e-5f, normed, count);
            float[] rowsNormed = Get(normed, count);
            device.MatMul(normed, weight, null, y, count);
            return [rowsNormed, Get(y, count), Get(again, count), gated, together];
        }
    }
}
