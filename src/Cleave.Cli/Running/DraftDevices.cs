using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Inference.Decoding;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Cli.Running;

/// <summary>Loads a draft model on a device of its own.</summary>
internal static class DraftDevices
{
    private const int KvTokens = 16_384;

    /// <summary>Loads it.</summary>
    /// <param name="path">Its file.</param>
    /// <param name="target">The tokenizer of the model it drafts for.</param>
    /// <param name="name">Device name; null is auto.</param>
    /// <param name="say">Told which device auto chose.</param>
    public static DraftModel Load(string path, Tokenizer target, string? name, Action<string> say)
    {
        using IModelSource source = ModelSource.Open(path);
        LayerRange all = new(0, source.Config.Layers);
        long needed = source.HasEnds && source.Layers.Count == all.Count
            ? MemoryNeeds.OfEnds(ModelSizes.Of(source), source.Config, all, new LayerRange(all.End, all.End), KvTokens, ElementType.F16, embeddingOnHost: true).TotalBytes
            : 0;
        IComputeDevice device = DeviceSelector.Open(new DeviceRequest { Name = name, NeededBytes = needed, Advise = static _ => "Take --draft-device cpu, or a smaller draft model." }, say);
        try
        {
            return DraftModel.Load(path, target, device, KvTokens);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
