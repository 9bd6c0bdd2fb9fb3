using System.Globalization;
using System.Text.RegularExpressions;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models;

/// <summary>
/// Writes the file a worker needs and no more: the tensors of some decoder layers, without embedding, final norm, LM head,
/// vocabulary or chat template. Layer hashes (<see cref="LayerHash"/>) are those of the source.
/// </summary>
public static partial class MiddleExport
{
    /// <summary>Writes layers <paramref name="range"/> of <paramref name="source"/> to <paramref name="path"/>.</summary>
    /// <param name="source">A model that holds the layers.</param>
    /// <param name="range">Layers to keep; at least one.</param>
    /// <param name="path">
    /// Target: a file, replaced when it exists, or for a checkpoint directory a new directory. Written beside it first and renamed
    /// when complete.
    /// </param>
    /// <param name="progress">Told the tensor bytes written so far.</param>
    /// <param name="cancellationToken">Stops the writing and leaves no file.</param>
    /// <exception cref="ModelFormatException">The source lacks the layers or is the target itself.</exception>
    /// <exception cref="IOException">The target cannot be written.</exception>
    public static void Write(
        IModelSource source, LayerRange range, string path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (range.Count == 0 || !source.Layers.Contains(range))
        {
            throw new ModelFormatException($"{source.Path}: holds layers {source.Layers}, so layers {range} cannot be exported");
        }

        if (Path.GetFullPath(path) == Path.GetFullPath(source.Path))
        {
            throw new ModelFormatException($"{path}: is the model being exported; name another file");
        }

        switch (source)
        {
            case GgufModel gguf:
                Prepare(gguf.Metadata, gguf.Tensors.Values, gguf.Config.Architecture, gguf.Config.VocabularySize, range).Write(path, progress, cancellationToken);
                break;
            case HfModel checkpoint:
                HfMiddle.Write(checkpoint, range, path, progress, cancellationToken);
                break;
            default:
                throw new ModelFormatException($"{source.Path}: is changed when loaded ('{source.LoadTransform}'); export the model as it is stored");
        }
    }

    /// <summary>The middle-only file of a GGUF header.</summary>
    internal static GgufWriter Prepare(GgufMetadata metadata, IEnumerable<StoredTensor> tensors, string architecture, int vocabularySize, LayerRange range)
    {
        var writer = new GgufWriter();
        string own = architecture + ".";
        foreach (string key in metadata.Keys)
        {
            // An allow-list: a worker's file names the model and its sizes, and nothing that touches text.
            if ((key.StartsWith("general.", StringComparison.Ordinal) && key != "general.alignment") || key.StartsWith(own, StringComparison.Ordinal))
            {
                writer.Copy(metadata, key);
            }
        }

        if (!metadata.Contains(own + "vocab_size"))
        {
            writer.Add(own + "vocab_size", (uint)vocabularySize);
        }

        writer.Add(GgufModel.LayersStartKey, (uint)range.Start);
        writer.Add(GgufModel.LayersEndKey, (uint)range.End);
        foreach (StoredTensor tensor in tensors)
        {
            if (Belongs(tensor.Name, range))
            {
                writer.Add(tensor);
            }
        }

        return writer;
    }

    // Rotary factors belong to every layer; all else outside the blocks belongs to the trusted side.
    private static bool Belongs(string name, LayerRange range) =>
        BlockName().Match(name) is { Success: true } match
            ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) is int layer && layer >= range.Start && layer < range.End
            : name.StartsWith("rope_", StringComparison.Ordinal);

    [GeneratedRegex(@"^blk\.([0-9]{1,6})\.")]
    private static partial Regex BlockName();
}
