using System.Globalization;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Models;

namespace Cleave.Cli.Running;

/// <summary>What the trusted side asks of its device, and what would fit when there is too little memory.</summary>
internal static class TrustedDevice
{
    /// <summary>The device asked for, with what head and tail (or, unsplit, the whole model) need of it.</summary>
    /// <param name="source">The model.</param>
    /// <param name="settings">What was asked for.</param>
    /// <param name="kvTokens">Cache rows all sessions together may hold.</param>
    /// <param name="say">Told what was asked for in vain.</param>
    public static DeviceRequest Request(IModelSource source, SplitSettings settings, int kvTokens, Action<string> say)
    {
        DeviceSettings devices = settings.Devices;
        return new DeviceRequest
        {
            Name = devices.Device,
            PackBF16 = WeightPacking.Applies(source, settings.Weights, say),
            EmbeddingOnHost = devices.EmbeddingOnHost,
            NeededBytes = source.HasEnds ? Needs(source, settings.Cut, devices, kvTokens, null) : 0,
            Advise = free => Advice(source, settings, kvTokens, free),
        };
    }

    private static long Needs(IModelSource source, Cut? cut, DeviceSettings devices, int kvTokens, WeightPrecision? precision)
    {
        ModelConfig config = source.Config;
        var sizes = ModelSizes.Of(source, precision);
        ElementType kvType = devices.KvType ?? ElementType.F16;
        LayerRange head = cut?.HeadRange ?? new LayerRange(0, config.Layers);
        LayerRange tail = cut?.TailRange(config.Layers) ?? new LayerRange(config.Layers, config.Layers);
        return MemoryNeeds.OfEnds(sizes, config, head, tail, kvTokens, kvType, devices.EmbeddingOnHost).TotalBytes;
    }

    private static string Advice(IModelSource source, SplitSettings settings, int kvTokens, long free)
    {
        var fits = new List<string>();
        DeviceSettings devices = settings.Devices;
        void Try(string what, Cut? cut, DeviceSettings at, int tokens, WeightPrecision? precision)
        {
            long needed = Needs(source, cut, at, tokens, precision);
            if (needed <= free)
            {
                fits.Add(string.Create(CultureInfo.InvariantCulture, $"{what} ({needed / 1e9:F2} GB)"));
            }
        }

        if (!devices.EmbeddingOnHost)
        {
            Try("--embedding host", settings.Cut, devices with { EmbeddingOnHost = true }, kvTokens, null);
        }

        if (settings.Weights != WeightPrecision.Q8)
        {
            Try("--weights q8", settings.Cut, devices, kvTokens, WeightPrecision.Q8);
        }

        for (int tokens = 32_768; tokens >= 512 && !fits.Exists(static fit => fit.StartsWith("--context", StringComparison.Ordinal)); tokens /= 2)
        {
            if (tokens < kvTokens)
            {
                Try($"--context {tokens}", settings.Cut, devices, tokens, null);
            }
        }

        // The largest cut below the one asked for, in both ends alike.
        int most = settings.Cut is { } cut ? Math.Max(cut.Head, cut.Tail) - 1 : (source.Config.Layers - 1) / 2;
        for (int layers = most; layers >= 1 && !fits.Exists(static fit => fit.StartsWith("--head", StringComparison.Ordinal)); layers--)
        {
            Try($"--head {layers} --tail {layers}", new Cut(layers, layers), devices, kvTokens, null);
        }

        return fits.Count > 0
            ? $"What would fit: {string.Join(", ", fits)}; or --device cpu."
            : "Nothing smaller of this model fits: take --device cpu, or free memory on the GPU.";
    }
}
