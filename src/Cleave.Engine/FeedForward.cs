using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>The feed-forward half of a decoder layer: [rows, hidden] -> [rows, hidden].</summary>
internal abstract class FeedForward : IDisposable
{
    public static FeedForward Load(IComputeDevice device, IModelSource source, int layer) =>
        source.Config.Experts > 0 ? new ExpertFeedForward(device, source, layer) : new DenseFeedForward(device, source, layer);

    public abstract void Run(IComputeDevice device, DeviceTensor x, DeviceTensor y, int rows, LayerScratch scratch);

    /// <summary>hidden += scale · (feed-forward of x); <paramref name="branch"/> is scratch.</summary>
    public virtual void RunAdd(IComputeDevice device, DeviceTensor x, DeviceTensor branch, float scale, DeviceTensor hidden, int rows, LayerScratch scratch)
    {
        Run(device, x, branch, rows, scratch);
        device.Add(hidden, branch, scale, rows);
    }

    public abstract void Dispose();
}

/// <summary>Gated feed-forward: down(activation(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202).</summary>
internal sealed class DenseFeedForward : FeedForward
{
    private readonly ModelConfig _config;
    private readonly DeviceWeight? _gated;
    private readonly Projection? _gateUp;
    private readonly Projection _down;

    public DenseFeedForward(IComputeDevice device, IModelSource source, int layer)
        : this(
            device, source.Config, source.Path,
            source.Layer(layer, LayerTensor.Gate)!, source.Layer(layer, LayerTensor.Up)!, source.Layer(layer, LayerTensor.Down)!,
            source.Layer(layer, LayerTensor.GateBias), source.Layer(layer, LayerTensor.UpBias), source.Layer(layer, LayerTensor.DownBias))
    {
    }

    public DenseFeedForward(
        IComputeDevice device, ModelConfig config, string path, TensorData gate, TensorData up, TensorData down,
        TensorData? gateBias = null, TensorData? upBias = null, TensorData? downBias = null)
    {
        _config = config;
        try
        {
            TensorData[] gateUp = [WeightCheck.Finite(path, gate), WeightCheck.Finite(path, up)];
            if (gate.Type == up.Type && gateBias is null && upBias is null)
            {
                _gated = device.LoadGated(gateUp[0], gateUp[1], config.Activation);
                Projection.ReleaseCopied(_gated, gateUp);
            }
            else
            {
                _gateUp = new Projection(device, gateUp, [gateBias, upBias]);
            }

            _down = new Projection(device, [WeightCheck.Finite(path, down)], [downBias]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override void Run(IComputeDevice device, DeviceTensor x, DeviceTensor y, int rows, LayerScratch scratch)
    {
        Gate(device, x, rows, scratch);
        _down.Run(device, scratch.Gate, y, rows);
    }

    public override void RunAdd(IComputeDevice device, DeviceTensor x, DeviceTensor branch, float scale, DeviceTensor hidden, int rows, LayerScratch scratch)
    {
        Gate(device, x, rows, scratch);
        _down.RunAdd(device, scratch.Gate, branch, scale, hidden, rows);
    }

    public override void Dispose()
    {
        // What is missing was not loaded: the constructor failed.
        _gated?.Dispose();
        _gateUp?.Dispose();
        _down?.Dispose();
    }

    private void Gate(IComputeDevice device, DeviceTensor x, int rows, LayerScratch scratch)
    {
        if (_gated is not null)
        {
            device.GatedMatMul(x, _gated, _config.Activation, scratch.GateUp, scratch.Gate, scratch.Up, rows);
            return;
        }

        _gateUp!.Run(device, x, scratch.GateUp, rows);
        device.GatedActivation(scratch.Gate, scratch.Up, _config.Activation, scratch.Gate, rows);
    }
}
