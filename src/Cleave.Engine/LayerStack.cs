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
    private readonly LayerWorkspace _workspace;
    private readonly bool _ownsWorkspace;

    private LayerStack(IComputeDevice device, ModelConfig config, LayerRange range, DecoderLayer[] layers, LayerWorkspace? workspace)
    {
        _workspace = workspace ?? new LayerWorkspace();
        _ownsWorkspace = workspace is null;
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
    /// <param name="device">Where to.</param>
    /// <param name="source">Where from.</param>
    /// <param name="range">Which layers; may be empty.</param>
    /// <param name="progress">Layers loaded.</param>
    /// <param name="workspace">Activations shared with other stacks of this model on this device, disposed by whoever made it; null for its own.</param>
    /// <exception cref="ModelFormatException">The file lacks a tensor or has it in a wrong shape.</exception>
    public static LayerStack Load(
        IComputeDevice device, IModelSource source, LayerRange range, IProgress<LoadProgress>? progress = null, LayerWorkspace? workspace = null)
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

        return new LayerStack(device, source.Config, range, layers, workspace);
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

        LayerScratch? scratch = _layers.Length > 0 ? _workspace.For(Device, Config, rows) : null;
        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i].Run(Device, hidden, plan, arena, i, scratch!);
            afterLayer?.Invoke(Range.Start + i);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (_ownsWorkspace)
        {
            _workspace.Dispose();
        }

        foreach (DecoderLayer layer in _layers)
        {
            layer.Dispose();
        }
    }
}
