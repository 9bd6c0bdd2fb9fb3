using Cleave.Models;
using Cleave.Protocol;

namespace Cleave.Cli.Running;

/// <summary>
/// Compares what a worker says it holds with the trusted side's own file. The worker's word is its own: this catches
/// mistakes (another model, another version, other layers), not malice.
/// </summary>
internal static class WorkerMatch
{
    /// <exception cref="CliException">They differ; both values are named.</exception>
    public static void Check(WorkerDescription worker, IModelSource source, LayerRange middle, WireType wire)
    {
        ModelConfig config = source.Config;
        if (worker.HiddenSize != config.HiddenSize)
        {
            throw Differ("hidden size", worker.HiddenSize, config.HiddenSize, source);
        }

        if (worker.LayerStart > middle.Start || worker.LayerEnd < middle.End || worker.LayerHashes.Count != worker.LayerEnd - worker.LayerStart)
        {
            throw new CliException(
                $"the worker holds layers {worker.LayerStart}..{worker.LayerEnd}, this cut needs {middle}",
                $"use --head {worker.LayerStart} --tail {config.Layers - worker.LayerEnd}, or start the worker with --layers {middle}");
        }

        if (!worker.WireTypes.Contains(wire))
        {
            throw new CliException($"the worker does not speak wire type {wire}; it speaks {string.Join(", ", worker.WireTypes)}", "choose another with --wire");
        }

        for (int layer = middle.Start; layer < middle.End; layer++)
        {
            string theirs = worker.LayerHashes[layer - worker.LayerStart];
            string ours = LayerHash.Compute(source, layer);
            if (!string.Equals(theirs, ours, StringComparison.Ordinal))
            {
                throw Differ($"layer {layer}", theirs, ours, source);
            }
        }
    }

    private static CliException Differ(string what, object theirs, object ours, IModelSource source) => new(
        $"the worker runs another model: its {what} is {theirs}, that of {source.Path} is {ours}",
        "give both sides the same model file, or a middle-only file exported from it (cleave export)");
}
