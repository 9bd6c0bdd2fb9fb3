using Cleave.Compute;

namespace Cleave.DecodingLab;

/// <summary>A device that computes nothing: every number is zero. With <see cref="ReplayMask"/> it stands in for a target whose text is known.</summary>
internal sealed class BlankDevice : IComputeDevice
{
    public string Name => "blank";

    public string Fingerprint => "blank";

    public long AllocatedBytes => 0;

    public DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked) =>
        new Weight(stacked.Sum(t => (int)t.Rows), (int)stacked[0].Columns, stacked[0].Type);

    public DeviceTensor LoadVector(TensorData vector, float offset = 0) => new Tensor(1, (int)vector.Columns);

    public DeviceTensor Allocate(int rows, int columns) => new Tensor(rows, columns);

    public KvArena AllocateKv(int layers, int slots, int columns, ElementType type) => new Arena(layers, slots, columns, type);

    public void Upload(ReadOnlySpan<float> source, DeviceTensor destination, int rows)
    {
    }

    public void Download(DeviceTensor source, int rows, Span<float> destination) => destination[..(rows * source.ColumnCount)].Clear();

    public void Gather(DeviceWeight embedding, ReadOnlySpan<int> ids, float scale, DeviceTensor destination)
    {
    }

    public void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows)
    {
    }

    public void RmsNorm(DeviceTensor x, DeviceTensor weight, float epsilon, DeviceTensor y, int rows, int groups = 1)
    {
    }

    public void Rope(DeviceTensor x, int headDim, RopeTable table, AttentionPlan plan)
    {
    }

    public void StoreKv(DeviceTensor keys, DeviceTensor values, KvArena arena, int layer, AttentionPlan plan)
    {
    }

    public void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y)
    {
    }

    public void GatedActivation(DeviceTensor gate, DeviceTensor up, Activation activation, DeviceTensor y, int rows)
    {
    }

    public void Add(DeviceTensor x, DeviceTensor y, float scale, int rows)
    {
    }

    public void ScaleAndCap(DeviceTensor x, float scale, float cap, int rows)
    {
    }

    public void CopyRows(DeviceTensor source, ReadOnlySpan<int> indices, DeviceTensor destination)
    {
    }

    public void ScatterAddRows(DeviceTensor source, ReadOnlySpan<int> indices, ReadOnlySpan<float> scales, DeviceTensor destination)
    {
    }

    public void Clear(DeviceTensor destination, int rows)
    {
    }

    public void Dispose()
    {
    }

    private sealed class Weight(int outputs, int inputs, ElementType type) : DeviceWeight
    {
        public override int Outputs => outputs;

        public override int Inputs => inputs;

        public override ElementType Type => type;

        public override long DeviceBytes => 0;

        protected override void Dispose(bool disposing)
        {
        }
    }

    private sealed class Tensor(int rows, int columns) : DeviceTensor
    {
        public override int RowCapacity => rows;

        public override int ColumnCount => columns;

        public override int Stride => columns;

        public override DeviceTensor Columns(int start, int count) => new Tensor(rows, count);

        public override DeviceTensor Rows(int start, int count) => new Tensor(count, columns);

        protected override void Dispose(bool disposing)
        {
        }
    }

    private sealed class Arena(int layers, int slots, int columns, ElementType type) : KvArena
    {
        public override int Layers => layers;

        public override int Slots => slots;

        public override int Columns => columns;

        public override ElementType Type => type;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
