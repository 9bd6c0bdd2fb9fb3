namespace Cleave.Models.Hub;

/// <summary>
/// The hub's cache on disk, in the layout its other tools use, so that a file is fetched once for all of them:
/// <code>
/// .locks/models--OWNER--NAME/ETAG.lock
/// models--OWNER--NAME/blobs/ETAG                  a file's bytes; ETAG.incomplete while it grows
/// models--OWNER--NAME/refs/REVISION               the commit a branch or tag stood at
/// models--OWNER--NAME/snapshots/COMMIT/PATH       relative symbolic link to the blob
/// </code>
/// </summary>
public sealed class HubCache
{
    private readonly string _root;

    /// <param name="root">The folder; need not exist.</param>
    public HubCache(string root)
    {
        ArgumentException.ThrowIfNullOrEmpty(root);
        _root = root;
    }

    /// <summary>The path of a model in the cache: a GGUF file, or the snapshot of a checkpoint.</summary>
    /// <exception cref="ModelFormatException">It is not there, or several files are meant; the message says what to do.</exception>
    public string Locate(HubName name)
    {
        string fetch = $"fetch it with: cleave pull {name}";
        if (SnapshotOf(name) is not { } snapshot)
        {
            throw new ModelFormatException($"{name} is neither a file here nor in the cache ({_root}); {fetch}");
        }

        string[] gguf = GgufFiles(snapshot);
        if (name.File is { } file)
        {
            string path = Path.Combine(snapshot, file);
            string[] chosen = File.Exists(path) ? [file] : FileChoice.Matching(gguf, file);
            return chosen is [var one]
                ? Path.Combine(snapshot, one)
                : throw new ModelFormatException(chosen.Length == 0
                    ? $"{name.Repository} is in the cache ({snapshot}) without '{file}'; {fetch}"
                    : $"'{file}' fits several files of {name.Repository}: {string.Join(", ", chosen)}; give more of the name");
        }

        if (IsCheckpoint(snapshot))
        {
            return snapshot;
        }

        return gguf switch
        {
            [var only] => Path.Combine(snapshot, only),
            [] => throw new ModelFormatException($"{name.Repository} is in the cache ({snapshot}) without a model file; {fetch}"),
            _ => throw new ModelFormatException($"{name.Repository} has several files in the cache; name one: {string.Join(", ", gguf.Select(each => $"{name.Repository}:{each}"))}"),
        };
    }

    /// <summary>Models in the cache, whole ones as far as their files tell: name and path.</summary>
    public IEnumerable<(HubName Name, string Path)> Models()
    {
        if (!Directory.Exists(_root))
        {
            yield break;
        }

        foreach (string folder in Directory.EnumerateDirectories(_root, "models--*").Order(StringComparer.Ordinal))
        {
            string[] parts = Path.GetFileName(folder).Split("--");
            if (parts.Length != 3 || !HubName.TryParse($"{parts[1]}/{parts[2]}", out HubName? name) || SnapshotOf(name) is not { } snapshot)
            {
                continue;
            }

            if (IsCheckpoint(snapshot))
            {
                yield return (name, snapshot);
            }

            foreach (string file in GgufFiles(snapshot))
            {
                yield return (name with { File = file }, Path.Combine(snapshot, file));
            }
        }
    }

    internal string Blob(HubName name, string etag) => Path.Combine(_root, name.Folder, "blobs", etag);

    /// <summary>Where an unfinished blob grows; made when it is not there.</summary>
    internal string Incomplete(HubName name, string etag)
    {
        string path = Blob(name, etag) + ".incomplete";
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }

    /// <summary>Takes the lock that other tools take for a blob; they and we wait for each other.</summary>
    internal Task<IDisposable> LockAsync(HubName name, string etag, CancellationToken cancellationToken) =>
        FileLock.TakeAsync(Path.Combine(_root, ".locks", name.Folder, etag + ".lock"), cancellationToken);

    /// <summary>Makes a file of a snapshot: a relative link to its blob, or on systems that refuse links the blob itself.</summary>
    internal void Link(RemoteFile file)
    {
        string path = Path.Combine(_root, file.Repository.Folder, "snapshots", file.Commit, file.Path);
        string blob = Blob(file.Repository, file.Etag);
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        if (File.Exists(path))
        {
            return;
        }

        // A link to nothing is left when somebody deletes blobs.
        File.Delete(path);
        try
        {
            File.CreateSymbolicLink(path, Path.GetRelativePath(folder, blob));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Move(blob, path);
        }
    }

    /// <summary>Records where a revision stands, once all that was asked for is there.</summary>
    internal void SetReference(HubName name, string revision, string commit)
    {
        if (revision == commit)
        {
            return;
        }

        string path = Path.Combine(_root, name.Folder, "refs", revision);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        File.WriteAllText(temporary, commit);
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>True when the cache has a file of a commit, whole.</summary>
    internal bool Has(RemoteFile file) =>
        File.Exists(Path.Combine(_root, file.Repository.Folder, "snapshots", file.Commit, file.Path)) || File.Exists(Blob(file.Repository, file.Etag));

    private static bool IsCheckpoint(string snapshot) =>
        File.Exists(Path.Combine(snapshot, "config.json"))
        && (File.Exists(Path.Combine(snapshot, "model.safetensors")) || File.Exists(Path.Combine(snapshot, "model.safetensors.index.json")));

    private static string[] GgufFiles(string snapshot) =>
    [
        .. Directory.EnumerateFiles(snapshot, "*.gguf", SearchOption.AllDirectories)
            .Where(File.Exists)
            .Select(file => Path.GetRelativePath(snapshot, file).Replace('\\', '/'))
            .Order(StringComparer.Ordinal),
    ];

    // The main branch's snapshot; else the only one there is, as when another tool fetched by commit.
    private string? SnapshotOf(HubName name)
    {
        string folder = Path.Combine(_root, name.Folder);
        string reference = Path.Combine(folder, "refs", "main");
        string snapshots = Path.Combine(folder, "snapshots");
        if (File.Exists(reference) && new FileInfo(reference).Length < 256
            && File.ReadAllText(reference).Trim() is var commit && HubPath.IsCommit(commit) && Directory.Exists(Path.Combine(snapshots, commit)))
        {
            return Path.Combine(snapshots, commit);
        }

        return Directory.Exists(snapshots) && Directory.GetDirectories(snapshots) is [var only] ? only : null;
    }
}
