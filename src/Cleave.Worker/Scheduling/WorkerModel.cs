using Cleave.Compute;
using Cleave.Engine;
using Cleave.Models;

namespace Cleave.Worker.Scheduling;

/// <summary>
/// The layers this worker runs, and nothing else of the model: only their tensors are opened. The embedding, the final
/// norm and the LM head are never read here, even when the file has them.
/// </summary>
public sealed class WorkerModel : IDisposable
{
    private readonly IModelSource _source;

    private WorkerModel(IModelSource source, LayerStack stack, KvPool pool, IReadOnlyList<string> layerHashes)
    {
        _source = source;
        Stack = stack;
        Pool = pool;
        LayerHashes = layerHashes;
    }

    /// <summary>Architecture and sizes.</summary>
    public ModelConfig Config => _source.Config;

    /// <summary>The layers.</summary>
    public LayerStack Stack { get; }

    /// <summary>Their cache slots: the hard cap on KV tokens.</summary>
    public KvPool Pool { get; }

    /// <summary>Identifies everything that decides result bits here, weights apart.</summary>
    public string KernelFingerprint => Stack.FingerprintOver(Pool);

    /// <summary>One <see cref="LayerHash"/> per layer.</summary>
    public IReadOnlyList<string> LayerHashes { get; }

    /// <summary>Null, or what the operator should know: the file holds more than a worker needs.</summary>
    public string? Notice => _source.HasEnds
        ? $"{_source.Path} also contains the embedding or LM head, which this worker does not open but its operator could. "
            + $"A file with the layers alone: cleave export --model {_source.Path} --layers {Stack.Range} --out layers.gguf"
        : null;

    /// <summary>Loads <paramref name="layers"/> of <paramref name="source"/>, which is disposed with the model.</summary>
    /// <param name="source">The model file.</param>
    /// <param name="device">Where to compute; not disposed.</param>
    /// <param name="layers">Layers to run; all the file has when null.</param>
    /// <param name="kvTokens">KV tokens of all sessions together.</param>
    /// <param name="progress">Layers loaded.</param>
    /// <param name="kvType">Storage of keys and values; null takes the device's preference.</param>
    /// <exception cref="ModelFormatException">The file lacks a layer or has it in a wrong shape.</exception>
    public static WorkerModel Load(IModelSource source, IComputeDevice device, LayerRange? layers, int kvTokens, IProgress<LoadProgress>? progress = null, ElementType? kvType = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentOutOfRangeException.ThrowIfLessThan(kvTokens, 1);
        LayerRange range = layers ?? source.Layers;
        LayerStack stack = LayerStack.Load(device, source, range, progress);
        try
        {
            string[] hashes = [.. Enumerable.Range(range.Start, range.Count).Select(layer => LayerHash.Compute(source, layer))];
            return new WorkerModel(source, stack, stack.CreatePool(kvTokens, kvType), hashes);
        }
        catch
        {
            stack.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Pool.Dispose();
        Stack.Dispose();
        _source.Dispose();
    }
}
