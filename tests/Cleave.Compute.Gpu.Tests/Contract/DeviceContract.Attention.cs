namespace Cleave.Compute.Gpu.Contract;

/// <summary>Attention: against double precision, and trees against their chains bit for bit.</summary>
internal sealed partial class DeviceContract
{
    /// <summary>
    /// Cache and attention over a history with slots in random order: a chain and a tree in one step against double precision; then every row
    /// alone, bit for bit.
    /// </summary>
    public double Attention(ElementType type, AttentionShape shape, int prefix, int chain, RopeLayout layout)
    {
        int columns = shape.KvHeads * shape.HeadDim;
        int queryColumns = shape.Heads * shape.HeadDim;
        int rows = chain + 3;
        int slots = prefix + rows + 5;
        int[] slot = [.. Enumerable.Range(0, slots)];
        _random.Shuffle(slot);
        using KvArena arena = device.AllocateKv(2, slots, columns, type);
        var rope = new RopeTable([.. Enumerable.Range(0, shape.HeadDim / 2).Select(i => Math.Pow(10000, -2.0 * i / shape.HeadDim))], layout);

        // 1. The committed prefix, in one step; keys and values as the cache will hold them are kept for the reference.
        var plan = new AttentionPlan();
        var keys = new Dictionary<int, double[]>();
        var values = new Dictionary<int, double[]>();
        float[] k = Numbers((prefix + rows) * columns);
        float[] v = Numbers((prefix + rows) * columns);
        float[] q = Numbers((prefix + rows) * queryColumns);
        for (int i = 0; i < prefix; i++)
        {
            plan.AddRow(0, 0, slot.AsSpan(0, i + 1));
        }

        // 2. The step: a chain, then three rows that branch off the prefix, the chain's middle and its end.
        var step = new AttentionPlan();
        var paths = new List<int[]>();
        int table = step.AddTable(slot.AsSpan(0, prefix));
        for (int i = 0; i < rows; i++)
        {
            int depth = i < chain ? i : i == chain ? 0 : i == chain + 1 ? (chain + 1) / 2 : chain;
            int[] path = [.. Enumerable.Range(prefix, depth), prefix + i];
            paths.Add([.. Enumerable.Range(0, prefix), .. path]);
            step.AddRow(table, prefix, path.Select(p => slot[p]).ToArray());
        }

        using (DeviceTensor pk = Put(k.AsSpan(0, prefix * columns), Math.Max(1, prefix), columns))
        using (DeviceTensor pv = Put(v.AsSpan(0, prefix * columns), Math.Max(1, prefix), columns))
        using (DeviceTensor pq = Put(q.AsSpan(0, prefix * queryColumns), Math.Max(1, prefix), queryColumns))
        {
            device.RopeAndStore(pq, pk, pv, shape.HeadDim, rope, arena, 1, plan);
        }

        for (int i = 0; i < prefix + rows; i++)
        {
            int position = i < prefix ? i : step.Rows[i - prefix].Position;
            keys[i] = Round(Rotate(k.AsSpan(i * columns, columns), shape.HeadDim, rope, position), type);
            values[i] = Round(v.AsSpan(i * columns, columns).ToArray().Select(x => (double)x).ToArray(), type);
        }

        float[] y = Step(step, Enumerable.Range(prefix, rows).ToArray());

        // 3. Against double precision.
        int group = shape.Heads / shape.KvHeads;
        var errors = new double[rows];
        var scales = new double[rows];
        Parallel.For(0, rows, row =>
        {
            double[] query = Rotate(q.AsSpan((prefix + row) * queryColumns, queryColumns), shape.HeadDim, rope, step.Rows[row].Position);
            int[] path = paths[row];
            int start = shape.Window > 0 ? Math.Max(0, path.Length - shape.Window) : 0;
            for (int head = 0; head < shape.Heads; head++)
            {
                int at = head / group * shape.HeadDim;
                double[] scores = [.. path.Skip(start).Select(p =>
                {
                    double dot = 0;
                    for (int i = 0; i < shape.HeadDim; i++)
                    {
                        dot += query[(head * shape.HeadDim) + i] * keys[p][at + i];
                    }

                    dot *= shape.Scale;
                    return shape.SoftCap > 0 ? shape.SoftCap * Math.Tanh(dot / shape.SoftCap) : dot;
                })];
                double max = scores.Max();
                double[] weights = [.. scores.Select(s => Math.Exp(s - max))];
                double sum = weights.Sum();
                for (int i = 0; i < shape.HeadDim; i++)
                {
                    double expected = 0;
                    for (int j = 0; j < weights.Length; j++)
                    {
                        expected += weights[j] * values[path[start + j]][at + i];
                    }

                    expected /= sum;
                    errors[row] = Math.Max(errors[row], Math.Abs(expected - y[(row * queryColumns) + (head * shape.HeadDim) + i]));
                    scales[row] = Math.Max(scales[row], Math.Abs(expected));
                }
            }
        });
        double error = errors.Max();
        double scale = scales.Max();
        Check(error / scale <= AttentionTolerance, $"{type} attention {shape}, prefix {prefix}, chain {chain}: relative error {error / scale:E2} over {AttentionTolerance:E1}");

        // 4. Every row by itself, with its ancestors already stored, and split as prefix and tail elsewhere.
        for (int row = 0; row < rows; row++)
        {
            if (row > 2 && row < rows - 4)
            {
                continue;
            }

            var alone = new AttentionPlan();
            int cut = row % 2 == 0 ? paths[row].Length - 1 : prefix;
            int[] mapped = [.. paths[row].Select(p => slot[p])];
            int offset = alone.AddTable(mapped.AsSpan(0, cut));
            alone.AddRow(offset, cut, mapped.AsSpan(cut));
            Same(y.AsSpan(row * queryColumns, queryColumns), Step(alone, [prefix + row]), $"attention of row {row} by itself ({type}, {shape}, prefix {prefix}, chain {chain})");
        }

        return error / scale;

        float[] Step(AttentionPlan stepPlan, int[] which)
        {
            using DeviceTensor sk = Put(Pick(k, which, columns), which.Length, columns);
            using DeviceTensor sv = Put(Pick(v, which, columns), which.Length, columns);
            using DeviceTensor sq = Put(Pick(q, which, queryColumns), which.Length, queryColumns);
            using DeviceTensor sy = device.Allocate(which.Length, queryColumns);
            Poison(sy, which.Length);
            device.RopeAndStore(sq, sk, sv, shape.HeadDim, rope, arena, 1, stepPlan);
            device.Attention(sq, arena, 1, stepPlan, shape, sy);
            return Get(sy, which.Length);
        }
    }
}
