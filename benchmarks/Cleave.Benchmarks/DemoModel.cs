using Cleave.Compute;

namespace Cleave.Benchmarks;

/// <summary>A decoder of the bundled model's shape with random Q8_0 weights: what one step costs, without the engine.</summary>
internal sealed class DemoModel : IDisposable
{
    public const int Layers = 12;
    public const int Width = 384;
    public const int FeedForward = 1024;
    public const int Vocabulary = 12288;
    public const int Heads = 6;
    public const int KvHeads = 2;
    public const int HeadDim = 64;
    private const int Qkv = (Heads + (2 * KvHeads)) * HeadDim;
    private const int KvWidth = KvHeads * HeadDim;

    private readonly CpuDevice _device;
    private readonly List<TensorData> _stored = [];
    private readonly Layer[] _layers;
    private readonly DeviceWeight _head;
    private readonly DeviceTensor _norm;
    private readonly RopeTable _rope;
    private readonly KvArena _arena;
    private readonly AttentionPlan _plan = new();
    private readonly int[] _slots;

    public DemoModel(CpuDevice device, ElementType type = ElementType.Q8_0, ElementType kvType = ElementType.F32, int context = 2048)
    {
        _device = device;
        _layers = [.. Enumerable.Range(0, Layers).Select(i => new Layer(
            Load(type, Qkv, Width, i), Load(type, Width, Width, i), Load(type, 2 * FeedForward, Width, i), Load(type, Width, FeedForward, i)))];
        _head = Load(type, Vocabulary, Width, 99);
        _norm = device.Allocate(1, Width);
        device.Upload([.. Enumerable.Repeat(0.5f, Width)], _norm, 1);
        _rope = new RopeTable([.. Enumerable.Range(0, HeadDim / 2).Select(i => Math.Pow(10000, -2.0 * i / HeadDim))], RopeLayout.Interleaved);
        _arena = device.AllocateKv(Layers, context, KvWidth, kvType);
        _slots = [.. Enumerable.Range(0, context)];
    }

    /// <summary>Buffers for steps of one size.</summary>
    public Buffers Allocate(int rows) => new(_device, rows);

    /// <summary>Runs rows at positions history, history + 1, ... through all layers, then the head for headRows of them.</summary>
    public void Step(Buffers b, int history, int headRows)
    {
        int rows = b.Rows;
        _plan.Clear();
        int table = _plan.AddTable(_slots.AsSpan(0, history));
        for (int row = 0; row < rows; row++)
        {
            _plan.AddRow(table, history, _slots.AsSpan(history, row + 1));
        }

        var shape = new AttentionShape(Heads, KvHeads, HeadDim, 0.125f);
        for (int i = 0; i < Layers; i++)
        {
            Layer layer = _layers[i];
            _device.RmsNorm(b.Hidden, _norm, 1e-5f, b.Normed, rows);
            _device.MatMul(b.Normed, layer.Qkv, null, b.Qkv, rows);
            _device.Rope(b.Q, HeadDim, _rope, _plan);
            _device.Rope(b.K, HeadDim, _rope, _plan);
            _device.StoreKv(b.K, b.V, _arena, i, _plan);
            _device.Attention(b.Q, _arena, i, _plan, shape, b.Attended);
            _device.MatMul(b.Attended, layer.Output, null, b.Normed, rows);
            _device.Add(b.Hidden, b.Normed, 1, rows);
            _device.RmsNorm(b.Hidden, _norm, 1e-5f, b.Normed, rows);
            _device.MatMul(b.Normed, layer.GateUp, null, b.GateUp, rows);
            _device.GatedActivation(b.Gate, b.Up, Activation.Silu, b.Gate, rows);
            _device.MatMul(b.Gate, layer.Down, null, b.Normed, rows);
            _device.Add(b.Hidden, b.Normed, 1, rows);
        }

        if (headRows > 0)
        {
            _device.RmsNorm(b.Hidden, _norm, 1e-5f, b.Normed, headRows);
            _device.MatMul(b.Normed, _head, null, b.Logits, headRows);
        }
    }

    /// <summary>Reads a byte of every cache line of every weight.</summary>
    public unsafe int ReadWeights()
    {
        int sum = 0;
        foreach (TensorData data in _stored)
        {
            for (long i = 0; i < data.ByteLength; i += 64)
            {
                sum += data.Pointer[i];
            }
        }

        return sum;
    }

    public void Dispose() => _arena.Dispose();

    private DeviceWeight Load(ElementType type, int outputs, int inputs, int seed)
    {
        TensorData data = RandomWeights.Create(type, outputs, inputs, seed);
        _stored.Add(data);
        return _device.LoadWeight([data]);
    }

    private sealed record Layer(DeviceWeight Qkv, DeviceWeight Output, DeviceWeight GateUp, DeviceWeight Down);

    /// <summary>Activations of one step.</summary>
    internal sealed class Buffers
    {
        public Buffers(CpuDevice device, int rows)
        {
            Rows = rows;
            Hidden = device.Allocate(rows, Width);
            var random = new Random(3);
            device.Upload([.. Enumerable.Range(0, rows * Width).Select(_ => (float)(random.NextDouble() - 0.5))], Hidden, rows);
            Normed = device.Allocate(rows, Width);
            Qkv = device.Allocate(rows, DemoModel.Qkv);
            Q = Qkv.Columns(0, Heads * HeadDim);
            K = Qkv.Columns(Heads * HeadDim, KvWidth);
            V = Qkv.Columns((Heads * HeadDim) + KvWidth, KvWidth);
            Attended = device.Allocate(rows, Heads * HeadDim);
            GateUp = device.Allocate(rows, 2 * FeedForward);
            Gate = GateUp.Columns(0, FeedForward);
            Up = GateUp.Columns(FeedForward, FeedForward);
            Logits = device.Allocate(rows, Vocabulary);
        }

        public int Rows { get; }

        public DeviceTensor Hidden { get; }

        public DeviceTensor Normed { get; }

        public DeviceTensor Qkv { get; }

        public DeviceTensor Q { get; }

        public DeviceTensor K { get; }

        public DeviceTensor V { get; }

        public DeviceTensor Attended { get; }

        public DeviceTensor GateUp { get; }

        public DeviceTensor Gate { get; }

        public DeviceTensor Up { get; }

        public DeviceTensor Logits { get; }
    }
}
