using System.Globalization;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Engine;
using Cleave.Models;
using Cleave.Worker.Scheduling;

namespace Cleave.Worker.Commands;

/// <summary>The layers on the device they run on.</summary>
internal sealed class LoadedWorker : IDisposable
{
    private readonly IComputeDevice _device;

    private LoadedWorker(IComputeDevice device, WorkerModel model)
    {
        _device = device;
        Model = model;
    }

    /// <summary>The layers.</summary>
    public WorkerModel Model { get; }

    /// <summary>Opens the device and loads the layers onto it, telling <paramref name="say"/> how far it has come when that takes long.</summary>
    /// <exception cref="ModelFormatException">The file lacks a layer or has it in a wrong shape.</exception>
    /// <exception cref="DeviceUnavailableException">There is no such device.</exception>
    /// <exception cref="GpuMemoryException">It has too little memory; the message says what would fit.</exception>
    public static LoadedWorker Load(ServeOptions options, Action<string> say)
    {
        IModelSource source = ModelSource.Open(options.Model, options.Weights);
        IComputeDevice? device = null;
        try
        {
            LayerRange range = options.Layers ?? source.Layers;
            device = DeviceSelector.Open(
                new DeviceRequest
                {
                    Name = options.Device,
                    CpuThreads = options.Threads,
                    PackBF16 = WeightPacking.Applies(source, options.Weights, say),
                    NeededBytes = source.Layers.Contains(range) ? Needs(source, options, range, options.KvTokens, null) : 0,
                    Advise = free => Advice(source, options, range, free),
                },
                say);
            return new LoadedWorker(device, WorkerModel.Load(source, device, options.Layers, options.KvTokens, new LoadingLines(say), options.KvType));
        }
        catch
        {
            device?.Dispose();
            source.Dispose();
            throw;
        }
    }

    /// <summary>What was taken of a GPU, or null on a CPU.</summary>
    public string? MemoryLine => _device is not GpuDevice gpu ? null : string.Create(
        CultureInfo.InvariantCulture,
        $"{gpu.Name} ({gpu.Hardware}): {gpu.AllocatedBytes / 1e9:F2} GB allocated, {gpu.FreeBytes / 1e9:F2} GB free; the driver's context took {gpu.DriverBytes / 1e9:F2} GB apart.");

    /// <inheritdoc />
    public void Dispose()
    {
        Model.Dispose();
        _device.Dispose();
    }

    private static long Needs(IModelSource source, ServeOptions options, LayerRange range, int kvTokens, WeightPrecision? precision) =>
        MemoryNeeds.OfLayers(ModelSizes.Of(source, precision), source.Config, range, kvTokens, options.KvType ?? ElementType.F16).TotalBytes;

    private static string Advice(IModelSource source, ServeOptions options, LayerRange range, long free)
    {
        var fits = new List<string>();
        void Try(string what, LayerRange layers, int kvTokens, WeightPrecision? precision)
        {
            long needed = Needs(source, options, layers, kvTokens, precision);
            if (needed <= free)
            {
                fits.Add(string.Create(CultureInfo.InvariantCulture, $"{what} ({needed / 1e9:F2} GB)"));
            }
        }

        if (options.Weights != WeightPrecision.Q8)
        {
            Try("--weights q8", range, options.KvTokens, WeightPrecision.Q8);
        }

        const int FewTokens = 4096;
        if (options.KvTokens > FewTokens)
        {
            Try($"--kv-tokens {FewTokens}", range, FewTokens, null);
        }

        for (int count = range.Count - 1; count >= 1 && !fits.Exists(static fit => fit.StartsWith("--layers", StringComparison.Ordinal)); count--)
        {
            var fewer = new LayerRange(range.Start, range.Start + count);
            Try($"--layers {fewer}, with a cut to match", fewer, options.KvTokens, null);
        }

        return fits.Count > 0
            ? $"What would fit: {string.Join(", ", fits)}; or --device cpu."
            : "Not even one of these layers fits: take --device cpu, or free memory on the GPU.";
    }
}
