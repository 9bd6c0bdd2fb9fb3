using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>Activations a decoder layer works in, for up to <see cref="Rows"/> rows; shared by all layers of a stack.</summary>
internal sealed class LayerScratch : IDisposable
{
    public LayerScratch(IComputeDevice device, ModelConfig config, int rows)
    {
        Rows = rows;
        int query = config.QueryColumns, kv = config.KvColumns;
        Normed = device.Allocate(rows, config.HiddenSize);
        Branch = device.Allocate(rows, config.HiddenSize);
        QueryKeyValue = device.Allocate(rows, query + (2 * kv));
        Query = QueryKeyValue.Columns(0, query);
        Key = QueryKeyValue.Columns(query, kv);
        Value = QueryKeyValue.Columns(query + kv, kv);
        Attended = device.Allocate(rows, query);
        GateUp = device.Allocate(rows, 2 * config.FeedForwardSize);
        Gate = GateUp.Columns(0, config.FeedForwardSize);
        Up = GateUp.Columns(config.FeedForwardSize, config.FeedForwardSize);
        Experts = config.Experts > 0 ? new ExpertScratch(device, config, rows) : null;
    }

    public int Rows { get; }

    public DeviceTensor Normed { get; }

    /// <summary>Output of a sub-layer before it joins the residual stream.</summary>
    public DeviceTensor Branch { get; }

    public DeviceTensor QueryKeyValue { get; }

    public DeviceTensor Query { get; }

    public DeviceTensor Key { get; }

    public DeviceTensor Value { get; }

    public DeviceTensor Attended { get; }

    public DeviceTensor GateUp { get; }

    public DeviceTensor Gate { get; }

    public DeviceTensor Up { get; }

    public ExpertScratch? Experts { get; }

    public void Dispose()
    {
        Normed.Dispose();
        Branch.Dispose();
        QueryKeyValue.Dispose();
        Attended.Dispose();
        GateUp.Dispose();
        Experts?.Dispose();
    }
}
