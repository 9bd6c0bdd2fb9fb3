namespace Cleave.Compute.Tests;

/// <summary>Random keys, values and queries in an arena of their own, and the ways to attend over them.</summary>
internal sealed class AttentionScene : IDisposable
{
    private const int Layer = 1;
    private readonly IComputeDevice _device;
    private readonly AttentionShape _shape;
    private readonly ElementType _type;
    private readonly KvArena _arena;
    private readonly int _positions;
    private readonly float[] _keys;
    private readonly float[] _values;
    private readonly float[] _queries;

    private AttentionScene(IComputeDevice device, AttentionShape shape, ElementType type, float[] keys, float[] values, float[] queries)
    {
        _device = device;
        _shape = shape;
        _type = type;
        _keys = keys;
        _values = values;
        _queries = queries;
        int columns = shape.KvHeads * shape.HeadDim;
        _positions = keys.Length / columns;
        _arena = device.AllocateKv(Layer + 1, _positions, columns, type);

        // Item i of keys and values is stored in slot i.
        var plan = new AttentionPlan();
        for (int slot = 0; slot < _positions; slot++)
        {
            plan.AddRow(plan.AddTable([]), 0, [slot]);
        }

        using DeviceTensor k = Run.Upload(device, keys, _positions);
        using DeviceTensor v = Run.Upload(device, values, _positions);
        device.StoreKv(k, v, _arena, Layer, plan);
    }

    public static AttentionScene Random(IComputeDevice device, Random random, AttentionShape shape, ElementType type, int positions, int poisonedPosition = -1)
    {
        int columns = shape.KvHeads * shape.HeadDim;
        float[] keys = Samples.Normal(random, positions * columns);
        if (poisonedPosition >= 0)
        {
            for (int head = 0; head < shape.KvHeads; head++)
            {
                keys[(poisonedPosition * columns) + (head * shape.HeadDim)] = float.NaN;
            }
        }

        return new AttentionScene(
            device, shape, type, keys, Samples.Normal(random, positions * columns), Samples.Normal(random, positions * shape.Heads * shape.HeadDim));
    }

    /// <summary>Query firstQuery + i attends to the first lengths[i] items of <paramref name="path"/>, all through one table.</summary>
    public float[] Chain(int[] path, int[] lengths, int firstQuery = 0)
    {
        var plan = new AttentionPlan();
        int table = plan.AddTable(path);
        foreach (int length in lengths)
        {
            plan.AddRow(table, length - 1, [path[length - 1]]);
        }

        return Attend(plan, firstQuery);
    }

    /// <summary>Row r is item committed.Length + r, with parent parents[r] (-1: the last committed).</summary>
    public float[] Tree(int[] committed, int[] parents)
    {
        var plan = new AttentionPlan();
        int table = plan.AddTable(committed);
        for (int row = 0; row < parents.Length; row++)
        {
            var tail = new List<int>();
            for (int node = row; node >= 0; node = parents[node])
            {
                tail.Insert(0, committed.Length + node);
            }

            plan.AddRow(table, committed.Length, tail.ToArray());
        }

        return Attend(plan, committed.Length);
    }

    /// <summary>Stores the items of <paramref name="path"/> in a new arena in order and attends over all of them, one row.</summary>
    public float[] Copied(int[] path, int query)
    {
        int columns = _shape.KvHeads * _shape.HeadDim;
        int width = _shape.Heads * _shape.HeadDim;
        float[] keys = [.. path.SelectMany(item => _keys[(item * columns)..((item + 1) * columns)])];
        float[] values = [.. path.SelectMany(item => _values[(item * columns)..((item + 1) * columns)])];
        using var scene = new AttentionScene(_device, _shape, _type, keys, values, _queries[(query * width)..((query + 1) * width)]);
        return scene.Chain([.. Enumerable.Range(0, path.Length)], [path.Length]);
    }

    /// <summary>What <see cref="Chain"/> should give, in double precision, over the numbers as stored.</summary>
    public double[] Expected(int[] path, int[] lengths)
    {
        int dim = _shape.HeadDim;
        int columns = _shape.KvHeads * dim;
        double[] keys = Stored(_keys);
        double[] values = Stored(_values);
        var y = new double[lengths.Length * _shape.Heads * dim];
        for (int row = 0; row < lengths.Length; row++)
        {
            for (int head = 0; head < _shape.Heads; head++)
            {
                int kvHead = head / (_shape.Heads / _shape.KvHeads);
                int start = _shape.Window > 0 ? Math.Max(0, lengths[row] - _shape.Window) : 0;
                int at = (row * _shape.Heads * dim) + (head * dim);
                double[] scores = [.. path[start..lengths[row]].Select(item =>
                {
                    double dot = 0;
                    for (int d = 0; d < dim; d++)
                    {
                        dot += _queries[at + d] * keys[(item * columns) + (kvHead * dim) + d];
                    }

                    dot *= _shape.Scale;
                    return _shape.SoftCap > 0 ? _shape.SoftCap * Math.Tanh(dot / _shape.SoftCap) : dot;
                })];
                double max = scores.Max();
                double[] weights = [.. scores.Select(s => Math.Exp(s - max))];
                for (int d = 0; d < dim; d++)
                {
                    double sum = 0;
                    for (int j = 0; j < weights.Length; j++)
                    {
                        sum += weights[j] * values[(path[start + j] * columns) + (kvHead * dim) + d];
                    }

                    y[at + d] = sum / weights.Sum();
                }
            }
        }

        return y;
    }

    public void Dispose() => _arena.Dispose();

    /// <summary>The numbers after a trip through the arena's type.</summary>
    private double[] Stored(float[] numbers) => _type switch
    {
        ElementType.F32 => [.. numbers.Select(v => (double)v)],
        ElementType.F16 => [.. numbers.Select(v => (double)(Half)v)],
        ElementType.BF16 => [.. numbers.Select(RoundToBF16)],
        _ => [.. numbers.Chunk(32).SelectMany(RoundToQ8)],
    };

    private static double RoundToBF16(float value)
    {
        // Nearest of the two neighbours, ties to the even one.
        uint bits = BitConverter.SingleToUInt32Bits(value);
        float below = BitConverter.UInt32BitsToSingle(bits & 0xffff0000);
        float above = BitConverter.UInt32BitsToSingle((bits & 0xffff0000) + 0x10000);
        double low = Math.Abs((double)value - below);
        double high = Math.Abs((double)value - above);
        return low < high || (low == high && (bits & 0x10000) == 0) ? below : above;
    }

    private static IEnumerable<double> RoundToQ8(float[] block)
    {
        double scale = (double)(Half)(block.Max(Math.Abs) / 127f);
        return block.Select(v => scale == 0 ? 0 : Math.Clamp(Math.Round((float)(v * (1f / (float)scale))), -127, 127) * scale);
    }

    private float[] Attend(AttentionPlan plan, int firstQuery)
    {
        int rows = plan.Rows.Length;
        int width = _shape.Heads * _shape.HeadDim;
        using DeviceTensor q = Run.Upload(_device, _queries[(firstQuery * width)..((firstQuery + rows) * width)], rows);
        using DeviceTensor y = _device.Allocate(rows, width);
        _device.Attention(q, _arena, Layer, plan, _shape, y);
        return Run.Download(_device, y, rows);
    }
}
