using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>
/// One pre-norm (or post-norm) transformer decoder layer over the residual stream [rows, hidden], in place:
/// <list type="number">
/// <item>x' = norm(x); q, k, v = x'·Wqkv (+ bias)</item>
/// <item>q, k normed (some families) and rotated; k, v stored to their slots</item>
/// <item>attention of each row over its own path; · Wo</item>
/// <item>x += residualScale · (post-norm of) that</item>
/// <item>the same with the feed-forward</item>
/// </list>
/// </summary>
internal sealed class DecoderLayer : IDisposable
{
    private readonly ModelConfig _config;
    private readonly AttentionShape _shape;
    private readonly RopeTable? _rope;
    private readonly Projection _queryKeyValue;
    private readonly Projection _attentionOutput;
    private readonly FeedForward _feedForward;
    private readonly DeviceTensor? _attentionNorm;
    private readonly DeviceTensor? _attentionPostNorm;
    private readonly DeviceTensor? _feedForwardNorm;
    private readonly DeviceTensor? _feedForwardPostNorm;
    private readonly DeviceTensor? _queryNorm;
    private readonly DeviceTensor? _keyNorm;

    public DecoderLayer(IComputeDevice device, IModelSource source, int layer)
    {
        _config = source.Config;
        int window = _config.Windows?[layer] ?? 0;
        _shape = new AttentionShape(
            _config.Heads, _config.KvHeads, _config.HeadDim, _config.AttentionScale, _config.AttentionSoftCap, window);
        bool rotates = _config.RotatesLayer?[layer] ?? true;
        _rope = !rotates ? null : window > 0 && _config.LocalRope is { } local ? local : _config.Rope;

        DeviceTensor? Norm(LayerTensor role) =>
            source.Layer(layer, role) is { } tensor ? device.LoadVector(tensor, _config.NormWeightOffset) : null;

        try
        {
            _attentionNorm = _config.PreNorm ? Norm(LayerTensor.AttentionNorm) : null;
            _attentionPostNorm = _config.PostNorm ? Norm(LayerTensor.AttentionPostNorm) : null;
            _feedForwardNorm = _config.PreNorm ? Norm(LayerTensor.FeedForwardNorm) : null;
            _feedForwardPostNorm = _config.PostNorm ? Norm(LayerTensor.FeedForwardPostNorm) : null;
            if (_config.QueryKeyNorm != QueryKeyNorm.None)
            {
                _queryNorm = Norm(LayerTensor.QueryNorm);
                _keyNorm = Norm(LayerTensor.KeyNorm);
            }

            TensorData Matrix(LayerTensor role) => WeightCheck.Finite(source.Path, source.Layer(layer, role)!);
            _queryKeyValue = new Projection(
                device,
                [Matrix(LayerTensor.Query), Matrix(LayerTensor.Key), Matrix(LayerTensor.Value)],
                [source.Layer(layer, LayerTensor.QueryBias), source.Layer(layer, LayerTensor.KeyBias), source.Layer(layer, LayerTensor.ValueBias)]);
            _attentionOutput = new Projection(
                device, [Matrix(LayerTensor.AttentionOutput)], [source.Layer(layer, LayerTensor.AttentionOutputBias)]);
            _feedForward = FeedForward.Load(device, source, layer);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Runs the layer on the plan's rows of <paramref name="hidden"/>; <paramref name="arenaLayer"/> is its index in the arena.</summary>
    public void Run(IComputeDevice device, DeviceTensor hidden, AttentionPlan plan, KvArena arena, int arenaLayer, LayerScratch scratch)
    {
        int rows = plan.Rows.Length;

        // 1. Projections.
        DeviceTensor input = Normed(device, hidden, _attentionNorm, scratch, rows);
        _queryKeyValue.Run(device, input, scratch.QueryKeyValue, rows);

        // 2. Norms of q and k, rotation, storage.
        if (_queryNorm is not null && _keyNorm is not null)
        {
            bool perHead = _config.QueryKeyNorm == QueryKeyNorm.PerHead;
            device.RmsNorm(scratch.Query, _queryNorm, _config.NormEpsilon, scratch.Query, rows, perHead ? _config.Heads : 1);
            device.RmsNorm(scratch.Key, _keyNorm, _config.NormEpsilon, scratch.Key, rows, perHead ? _config.KvHeads : 1);
        }

        if (_rope is not null)
        {
            device.RopeAndStore(scratch.Query, scratch.Key, scratch.Value, _config.HeadDim, _rope, arena, arenaLayer, plan);
        }
        else
        {
            device.StoreKv(scratch.Key, scratch.Value, arena, arenaLayer, plan);
        }

        // 3. Attention.
        device.Attention(scratch.Query, arena, arenaLayer, plan, _shape, scratch.Attended);

        // 4. Its projection, into the residual stream.
        if (_attentionPostNorm is null)
        {
            _attentionOutput.RunAdd(device, scratch.Attended, scratch.Branch, _config.ResidualScale, hidden, rows);
        }
        else
        {
            _attentionOutput.Run(device, scratch.Attended, scratch.Branch, rows);
            Join(device, hidden, _attentionPostNorm, scratch, rows);
        }

        // 5. Feed-forward.
        input = Normed(device, hidden, _feedForwardNorm, scratch, rows);
        if (_feedForwardPostNorm is null && !ReferenceEquals(input, hidden))
        {
            _feedForward.RunAdd(device, input, scratch.Branch, _config.ResidualScale, hidden, rows, scratch);
        }
        else
        {
            _feedForward.Run(device, input, scratch.Branch, rows, scratch);
            Join(device, hidden, _feedForwardPostNorm, scratch, rows);
        }
    }

    public void Dispose()
    {
        // What is missing was not loaded: the constructor failed.
        _queryKeyValue?.Dispose();
        _attentionOutput?.Dispose();
        _feedForward?.Dispose();
        _attentionNorm?.Dispose();
        _attentionPostNorm?.Dispose();
        _feedForwardNorm?.Dispose();
        _feedForwardPostNorm?.Dispose();
        _queryNorm?.Dispose();
        _keyNorm?.Dispose();
    }

    private DeviceTensor Normed(IComputeDevice device, DeviceTensor hidden, DeviceTensor? norm, LayerScratch scratch, int rows)
    {
        if (norm is null)
        {
            return hidden;
        }

        device.RmsNorm(hidden, norm, _config.NormEpsilon, scratch.Normed, rows);
        return scratch.Normed;
    }

    private void Join(IComputeDevice device, DeviceTensor hidden, DeviceTensor? postNorm, LayerScratch scratch, int rows)
    {
        if (postNorm is not null)
        {
            device.RmsNorm(scratch.Branch, postNorm, _config.NormEpsilon, scratch.Branch, rows);
        }

        device.Add(hidden, scratch.Branch, _config.ResidualScale, rows);
    }
}
