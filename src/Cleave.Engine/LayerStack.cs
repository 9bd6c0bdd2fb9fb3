using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>
/// Decoder layers of a <see cref="LayerRange"/>: hidden states in, hidden states out. The same type runs in head, middle,
/// tail and, over the whole range, unsplit.
/// </summary>
public sealed class LayerStack : IDisposable
{
    private readonly DecoderLayer[] _layers;
    private LayerScratch? _scratch;

    private LayerStack(IComputeDevice device, ModelConfig config, LayerRange range, DecoderLayer[] layers)
    {
        Device = device;
        Config = config;
        Range = range;
        _layers = layers;
    }

    /// <summary>Where the layers are.</summary>
    public IComputeDevice Device { get; }

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config { get; }

    /// <summary>Which layers these are; may be empty.</summary>
    public LayerRange Range { get; }

    /// <summary>Loads the tensors of <paramref name="range"/> and no others.</summary>
    /// <exception cref="ModelFormatException">The file lacks a tensor or has it in a wrong shape.</exception>
    public static LayerStack Load(IComputeDevice device, IModelSource source, LayerRange range, IProgress<LoadProgress>? progress = null)
    {
        if (!new LayerRange(0, source.Config.Layers).Contains(range) || (range.Count > 0 && !source.Layers.Contains(range)))
        {
            throw new ModelFormatException(
                $"{source.Path} holds layers {source.Layers} of a model of {source.Config.Layers}; layers {range} were asked for");
        }

        var layers = new DecoderLayer[range.Count];
        int loaded = 0;
        try
        {
            for (; loaded < layers.Length; loaded++)
            {
                layers[loaded] = new DecoderLayer(device, source, range.Start + loaded);
                progress?.Report(new LoadProgress(loaded + 1, layers.Length));
            }
        }
        catch
        {
            for (int i = 0; i < loaded; i++)
            {
                layers[i].Dispose();
            }

            throw;
        }

        return new LayerStack(device, source.Config, range, layers);
    }

    /// <summary>A pool of <paramref name="slots"/> cache slots for these layers (at least one layer's worth, so that an empty range has a table too).</summary>
    /// <param name="slots">Rows that all sessions together may hold: the hard cap on cache memory.</param>
    /// <param name="type">Storage of keys and values; null takes the device's preference.</param>
    public KvPool CreatePool(int slots, ElementType? type = null) =>
        new(Device.AllocateKv(Range.Count, slots, Config.KvColumns, type ?? Device.PreferredKvType));

    /// <summary>
    /// Identifies everything that decides the result bits of these layers over a cache: the device's fingerprint, and how keys and values are
    /// stored. What the weights are, layer hashes tell.
    /// </summary>
    public string FingerprintOver(KvPool pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        return pool.Arena.Type == ElementType.F32 ? Device.Fingerprint : $"{Device.Fingerprint}+kv-{pool.Arena.Type.ToString().ToLowerInvariant()}";
    }

    /// <summary>
    /// Runs the plan's rows through the layers. hidden: [rows, hiddenSize], replaced by the output.
    /// <paramref name="afterLayer"/> is called with each layer's absolute index, for verification.
    /// </summary>
    public void Forward(DeviceTensor hidden, AttentionPlan plan, KvArena arena, Action<int>? afterLayer = null)
    {
        int rows = plan.Rows.Length;
        if (rows == 0)
        {
            return;
        }

        if (_layers.Length > 0 && (_scratch is null || _scratch.Rows < rows))
        {
            _scratch?.Dispose();
            _scratch = new LayerScratch(Device, Config, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)rows));
        }

        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i].Run(Device, hidden, plan, arena, i, _scratch!);
            afterLayer?.Invoke(Range.Start + i);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _scratch?.Dispose();
        foreach (DecoderLayer layer in _layers)
        {
            layer.Dispose();
        }
    }
}
