using Cleave.Models;
using Cleave.Protocol;

namespace Cleave.Inference.Sessions;

/// <summary>
/// Compares what a worker says it holds with the trusted side's own file. The word is the worker's own: this catches
/// mistakes (another model, another version, other layers), not malice.
/// </summary>
/// <param name="source">Our file.</param>
/// <param name="middle">Layers to run elsewhere.</param>
/// <param name="wireType">Encoding to be used.</param>
public sealed class WorkerMatch(IModelSource source, LayerRange middle, WireType wireType)
{
    // Hashing reads every weight of the middle once; several workers may be compared, and again after a loss.
    private readonly Lazy<string[]> _ours = new(() => [.. Enumerable.Range(middle.Start, middle.Count).Select(layer => LayerHash.Compute(source, layer))]);

    /// <exception cref="WireException">They differ; both values are named, and what to do.</exception>
    public void Check(WorkerDescription worker)
    {
        ModelConfig config = source.Config;
        if (worker.MinVersion > ProtocolVersion.Highest || worker.MaxVersion < ProtocolVersion.Lowest)
        {
            throw Refuse(
                WireErrorCode.UnsupportedVersion,
                $"the worker speaks protocol versions {worker.MinVersion} to {worker.MaxVersion}, this program {ProtocolVersion.Lowest} to {ProtocolVersion.Highest}; update the older one");
        }

        if (worker.HiddenSize != config.HiddenSize)
        {
            throw Differ("hidden size", worker.HiddenSize, config.HiddenSize);
        }

        if (worker.LayerStart > middle.Start || worker.LayerEnd < middle.End)
        {
            throw Refuse(
                WireErrorCode.UnsupportedLayers,
                $"the worker holds layers {worker.LayerStart}..{worker.LayerEnd}, this cut needs {middle}; "
                + $"use --head {worker.LayerStart} --tail {Math.Max(0, config.Layers - worker.LayerEnd)}, or start the worker with --layers {middle}");
        }

        if (!worker.WireTypes.Contains(wireType))
        {
            throw Refuse(WireErrorCode.UnsupportedWireType, $"the worker does not speak wire type {wireType}; it speaks {string.Join(", ", worker.WireTypes)}: choose one of them with --wire");
        }

        for (int layer = middle.Start; layer < middle.End; layer++)
        {
            string theirs = worker.LayerHashes[layer - worker.LayerStart];
            string ours = _ours.Value[layer - middle.Start];
            if (!string.Equals(theirs, ours, StringComparison.Ordinal))
            {
                throw Differ($"layer {layer}", theirs, ours);
            }
        }
    }

    private WireException Differ(string what, object theirs, object ours) => Refuse(
        WireErrorCode.UnsupportedLayers,
        $"the worker runs another model: its {what} is {theirs}, that of {source.Path} is {ours}; give both sides the same model file, or the worker a middle-only export of it");

    private static WireException Refuse(WireErrorCode code, string message) => new(new WireError(code, message, SessionSurvives: false));
}
