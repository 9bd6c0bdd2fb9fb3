using Cleave.Models.Families;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Hub;

/// <summary>
/// Fetches the byte ranges of some layers, for a worker: never the embedding, the final norm or the LM head. The result is the
/// file that <see cref="MiddleExport"/> would have made of the whole model, byte for byte.
/// <list type="number">
/// <item>the header, of as many bytes as it proves to have (a GGUF header holds the vocabulary: it passes through memory and is not kept);</item>
/// <item>a plan: the new header, and after it the ranges of the layers' tensors;</item>
/// <item>the plan's pieces into an unfinished file, and its name when complete;</item>
/// <item>a look at the result, as whoever serves it will look.</item>
/// </list>
/// </summary>
/// <remarks>
/// The hub states checksums of whole files only, so a part cannot be checked against them. The client does: it compares each
/// layer's hash with its own file's before it sends anything.
/// </remarks>
internal sealed class LayerPull(HubPull pull, HubSettings settings)
{
    private const int MaxHeaderBytes = 256 << 20;
    private const int MaxTextBytes = 64 << 20;

    public async Task<string> RunAsync(HubName name, LayerRange layers, string revision, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        RepositoryInfo info = await pull.InfoAsync(name, revision, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<string> paths = FileChoice.Choose(name, info);
        string folder = Path.Combine(settings.LayersDirectory, name.Folder, info.Commit);
        using IDisposable held = await FileLock.TakeAsync(Path.Combine(folder, $"{layers}.lock"), cancellationToken).ConfigureAwait(false);
        string target = paths is [var gguf] && gguf.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)
            ? await FetchGgufAsync(name, info.Commit, gguf, layers, folder, progress, cancellationToken).ConfigureAwait(false)
            : await FetchCheckpointAsync(name, info.Commit, paths, layers, folder, progress, cancellationToken).ConfigureAwait(false);

        // 4. The look.
        using IModelSource source = ModelSource.Open(target);
        return source.Layers.Contains(layers) ? target : throw new ModelFormatException($"{target}: holds layers {source.Layers}, not {layers}");
    }

    private async Task<string> FetchGgufAsync(
        HubName name, string commit, string path, LayerRange layers, string folder, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        string target = Path.Combine(folder, $"{Path.GetFileNameWithoutExtension(path)}.layers-{layers}.gguf");
        if (File.Exists(target))
        {
            return target;
        }

        // 1. Header.
        RemoteFile file = await pull.Client.FileAsync(name, commit, path, cancellationToken).ConfigureAwait(false);
        GgufHeader header = await ParseAsync(file, GgufHeader.Read, cancellationToken).ConfigureAwait(false);
        string architecture = header.Metadata.String("general.architecture") ?? throw new ModelFormatException($"{path}: metadata lacks 'general.architecture'");
        if (ModelFamily.OfGguf(architecture) is null)
        {
            throw new ModelFormatException($"{name.Repository}: architecture '{architecture}' is not supported; supported: {ModelFamily.SupportedGguf}");
        }

        var fields = new GgufFields(header, architecture);
        CheckLayers(name, layers, fields.Int("block_count", 1, 1 << 12));

        // 2. Plan.
        (byte[] prefix, IReadOnlyList<(StoredTensor Tensor, int Padding)> tensors) =
            MiddleExport.Prepare(header.Metadata, header.Tensors.Values, architecture, fields.Vocabulary(), layers).Plan();
        List<Piece> pieces = [new Piece.Known(prefix)];
        foreach ((StoredTensor tensor, int padding) in tensors)
        {
            Append(pieces, file, tensor);
            if (padding > 0)
            {
                pieces.Add(new Piece.Known(new byte[padding]));
            }
        }

        // 3. Pieces.
        string incomplete = target + ".incomplete";
        await FetchAsync(incomplete, pieces, path, folder, progress, cancellationToken).ConfigureAwait(false);
        File.Move(incomplete, target);
        return target;
    }

    private async Task<string> FetchCheckpointAsync(
        HubName name, string commit, IReadOnlyList<string> paths, LayerRange layers, string folder, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        string target = Path.Combine(folder, $"layers-{layers}");
        if (Directory.Exists(target))
        {
            return target;
        }

        // 1. Configuration and headers. The directory's own name would be the model's: the original is kept beside the copy that states the layers.
        string unfinished = target + ".incomplete";
        Directory.CreateDirectory(unfinished);
        string original = Path.Combine(folder, HfModel.ConfigName);
        await File.WriteAllBytesAsync(original, await TextAsync(name, commit, HfModel.ConfigName, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        HfConfig config = HfConfig.Read(original);
        ModelFamily family = ModelFamily.OfHf(config.ModelType)
            ?? throw new ModelFormatException($"{name.Repository}: model type '{config.ModelType}' is not supported; supported: {ModelFamily.SupportedHf}");
        ModelConfig model = family.Configure(config);
        CheckLayers(name, layers, model.Layers);
        TensorLayout layout = family.Layout(config, model);
        HashSet<string> names = HfMiddle.TensorNames(model, layout, layers);
        var remotes = new Dictionary<string, RemoteFile>(StringComparer.Ordinal);
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        foreach (string path in await ShardsAsync(name, commit, paths, names, folder, cancellationToken).ConfigureAwait(false))
        {
            RemoteFile file = await pull.Client.FileAsync(name, commit, path, cancellationToken).ConfigureAwait(false);
            remotes[path] = file;
            foreach ((string tensor, StoredTensor stored) in await ParseAsync(file, header => Tensors(header, layout), cancellationToken).ConfigureAwait(false))
            {
                if (!tensors.TryAdd(tensor, stored))
                {
                    throw new ModelFormatException($"{path}: tensor '{tensor}' is in another file of the model as well");
                }
            }
        }

        // 2. Plan.
        StoredTensor[] wanted = [.. tensors.Values.Where(tensor => names.Contains(tensor.Name))];
        List<Piece> pieces = [new Piece.Known(SafetensorsWriter.Prefix(wanted))];
        foreach (StoredTensor tensor in wanted)
        {
            Append(pieces, remotes[tensor.File.Path], tensor);
        }

        // 3. Pieces.
        await FetchAsync(Path.Combine(unfinished, HfModel.WeightsName), pieces, HfModel.WeightsName, folder, progress, cancellationToken).ConfigureAwait(false);
        HfMiddle.WriteConfig(original, Path.Combine(unfinished, HfModel.ConfigName), layers);
        Directory.Move(unfinished, target);
        return target;
    }

    private static Dictionary<string, StoredTensor> Tensors(MappedFile header, TensorLayout layout)
    {
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        Safetensors.Read(header, tensors, layout.Ignores);
        return tensors;
    }

    private static void CheckLayers(HubName name, LayerRange layers, int count)
    {
        if (layers.Count == 0 || layers.End > count)
        {
            throw new ModelFormatException($"{name.Repository} has {count} layers, so layers {layers} cannot be fetched");
        }
    }

    // Neighbours in the remote file become one stretch: fewer and longer requests.
    private static void Append(List<Piece> pieces, RemoteFile file, StoredTensor tensor)
    {
        if (pieces[^1] is Piece.Remote last && last.File == file && last.Offset + last.Length == tensor.Offset)
        {
            pieces[^1] = new Piece.Remote(file, last.Offset, last.Length + tensor.ByteLength);
        }
        else
        {
            pieces.Add(new Piece.Remote(file, tensor.Offset, tensor.ByteLength));
        }
    }

    // Files that hold one of the tensors, in the index's order.
    private async Task<IReadOnlyList<string>> ShardsAsync(
        HubName name, string commit, IReadOnlyList<string> paths, HashSet<string> names, string folder, CancellationToken cancellationToken)
    {
        if (paths.Contains(HfModel.WeightsName))
        {
            return [HfModel.WeightsName];
        }

        string index = Path.Combine(folder, HfModel.IndexName);
        await File.WriteAllBytesAsync(index, await TextAsync(name, commit, HfModel.IndexName, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        string[] shards = [.. HfModel.ReadIndex(index).Where(pair => names.Contains(pair.Key)).Select(static pair => pair.Value).Distinct(StringComparer.Ordinal)];
        return shards.All(paths.Contains) ? shards : throw new ModelFormatException($"{name.Repository}: {HfModel.IndexName} names a file that the repository lacks");
    }

    private async Task<byte[]> TextAsync(HubName name, string commit, string path, CancellationToken cancellationToken)
    {
        RemoteFile file = await pull.Client.FileAsync(name, commit, path, cancellationToken).ConfigureAwait(false);
        if (file.Size > MaxTextBytes)
        {
            throw new HubException($"{name.Repository}: {path} has {file.Size} bytes; at most {MaxTextBytes} are accepted");
        }

        byte[] bytes = await pull.Download.ReadAsync(file, 0, (int)file.Size, cancellationToken).ConfigureAwait(false);
        using var checksum = new BlobChecksum(file.Etag, file.Size);
        checksum.Append(bytes);
        return checksum.Finish() == file.Etag ? bytes : throw new HubException($"{name.Repository}: {path} arrived damaged; pull again");
    }

    /// <summary>Parses a header, of which more is fetched for as long as it proves too short, but never a byte past its end.</summary>
    private async Task<T> ParseAsync<T>(RemoteFile file, Func<MappedFile, T> parse, CancellationToken cancellationToken)
    {
        byte[] prefix = [];
        while (true)
        {
            try
            {
                return parse(MappedFile.OfPrefix(file.Path, prefix, file.Size));
            }
            catch (MissingBytesException e)
            {
                if (e.End > MaxHeaderBytes)
                {
                    throw new ModelFormatException($"{file.Repository}: the header of {file.Path} takes more than {MaxHeaderBytes} bytes; the file is damaged", e);
                }

                prefix = [.. prefix, .. await pull.Download.ReadAsync(file, prefix.Length, (int)(e.End - prefix.Length), cancellationToken).ConfigureAwait(false)];
            }
        }
    }

    private async Task FetchAsync(
        string incomplete, List<Piece> pieces, string path, string folder, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        long total = pieces.Sum(static piece => piece.Length);
        HubPull.CheckRoom(folder, total - (File.Exists(incomplete) ? new FileInfo(incomplete).Length : 0));
        long here = 0;
        await pull.Download.RunAsync(incomplete, pieces, checksum: null, grown =>
            progress?.Report(new PullProgress(path, here += grown, total)), cancellationToken).ConfigureAwait(false);
    }
}
