using Cleave.Compute;

namespace Cleave.Inference.Tests.Devices;

/// <summary>A device that hands everything on to another.</summary>
internal abstract class DecoratedDevice(IComputeDevice inner) : IComputeDevice
{
    public string Name => inner.Name;

    public string Fingerprint => inner.Fingerprint;

    public long AllocatedBytes => inner.AllocatedBytes;

    public virtual bool PrefersTopRows => inner.PrefersTopRows;

    public virtual void TopOf(DeviceTensor x, int rows, TopRows tops) => inner.TopOf(x, rows, tops);

    public virtual DeviceWeight LoadWeight(IReadOnlyList<TensorData> stacked) => inner.LoadWeight(stacked);

    public DeviceTensor LoadVector(TensorData vector, float offset = 0) => inner.LoadVector(vector, offset);

    public DeviceTensor Allocate(int rows, int columns) => inner.Allocate(rows, columns);

    public KvArena AllocateKv(int layers, int slots, int columns, ElementType type) => inner.AllocateKv(layers, slots, columns, type);

    public void Upload(ReadOnlySpan<float> source, DeviceTensor destination, int rows) => inner.Upload(source, destination, rows);

    public void Download(DeviceTensor source, int rows, Span<float> destination) => inner.Download(source, rows, destination);

    public void Gather(DeviceWeight embedding, ReadOnlySpan<int> ids, float scale, DeviceTensor destination) =>
        inner.Gather(embedding, ids, scale, destination);

    public virtual void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows) => inner.MatMul(x, weight, bias, y, rows);

    public void RmsNorm(DeviceTensor x, DeviceTensor weight, float epsilon, DeviceTensor y, int rows, int groups = 1) =>
        inner.RmsNorm(x, weight, epsilon, y, rows, groups);

    public void Rope(DeviceTensor x, int headDim, RopeTable table, AttentionPlan plan) => inner.Rope(x, headDim, table, plan);

    public void StoreKv(DeviceTensor keys, DeviceTensor values, KvArena arena, int layer, AttentionPlan plan) =>
        inner.StoreKv(keys, values, arena, layer, plan);

    public virtual void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y) =>
        inner.Attention(q, arena, layer, plan, shape, y);

    public void GatedActivation(DeviceTensor gate, DeviceTensor up, Activation activation, DeviceTensor y, int rows) =>
        inner.GatedActivation(gate, up, activation, y, rows);

    public void Add(DeviceTensor x, DeviceTensor y, float scale, int rows) => inner.Add(x, y, scale, rows);

    public void ScaleAndCap(DeviceTensor x, float scale, float cap, int rows) => inner.ScaleAndCap(x, scale, cap, rows);

    public void CopyRows(DeviceTensor source, ReadOnlySpan<int> indices, DeviceTensor destination) => inner.CopyRows(source, indices, destination);

    public void ScatterAddRows(DeviceTensor source, ReadOnlySpan<int> indices, ReadOnlySpan<float> scales, DeviceTensor destination) =>
        inner.ScatterAddRows(source, indices, scales, destination);

    public void Clear(DeviceTensor destination, int rows) => inner.Clear(destination, rows);

    public void Dispose() => inner.Dispose();
}
