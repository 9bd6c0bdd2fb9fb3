namespace Cleave.Models.Hub;

/// <summary>
/// Fetches models from a hub:
/// <list type="number">
/// <item>what the repository holds, and which of it is wanted;</item>
/// <item>size, checksum and whereabouts of each file;</item>
/// <item>the bytes that are not here yet, checked when complete;</item>
/// <item>the snapshot's links, and last the reference.</item>
/// </list>
/// </summary>
public sealed class HubPull : IDisposable
{
    /// <summary>Requests at once: each takes 8 MB of memory.</summary>
    private const int Requests = 8;
    private const int Files = 4;

    private readonly HubSettings _settings;
    private readonly HubCache _cache;
    private readonly HubClient _client;
    private readonly SemaphoreSlim _slots = new(Requests);

    /// <exception cref="HubException">The settings say offline.</exception>
    public HubPull(HubSettings settings)
        : this(settings, segmentBytes: 8 << 20, firstDelay: TimeSpan.FromSeconds(1))
    {
    }

    internal HubPull(HubSettings settings, int segmentBytes, TimeSpan firstDelay)
    {
        ArgumentNullException.ThrowIfNull(settings);
        _settings = settings;
        _cache = new HubCache(settings.CacheDirectory);
        _client = new HubClient(settings);
        Download = new PieceDownload(_client, _slots) { SegmentBytes = segmentBytes, FirstDelay = firstDelay };
    }

    internal PieceDownload Download { get; }

    internal HubClient Client => _client;

    /// <summary>Fetches a model into the cache and returns its path there.</summary>
    /// <param name="name">The model, or one file of it.</param>
    /// <param name="revision">Branch, tag or commit.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellationToken">Stops; what is here stays for the next time.</param>
    /// <exception cref="HubException">It cannot be fetched; the message says why and what to do.</exception>
    public Task<string> ModelAsync(HubName name, string revision = "main", IProgress<PullProgress>? progress = null, CancellationToken cancellationToken = default) =>
        ReachingAsync(() => FetchModelAsync(name, revision, progress, cancellationToken));

    /// <summary>Fetches some layers of a model, and nothing else of it, as a file or checkpoint that a worker serves.</summary>
    /// <returns>Its path.</returns>
    /// <inheritdoc cref="ModelAsync"/>
    /// <exception cref="ModelFormatException">The model is of a kind that is not supported, or lacks the layers.</exception>
    public Task<string> LayersAsync(
        HubName name, LayerRange layers, string revision = "main", IProgress<PullProgress>? progress = null, CancellationToken cancellationToken = default) =>
        ReachingAsync(() => new LayerPull(this, _settings).RunAsync(name, layers, revision, progress, cancellationToken));

    /// <inheritdoc />
    public void Dispose()
    {
        _client.Dispose();
        _slots.Dispose();
    }

    /// <summary>The commit of a revision and the files there.</summary>
    internal Task<RepositoryInfo> InfoAsync(HubName name, string revision, CancellationToken cancellationToken) => HubPath.IsSafe(revision)
        ? _client.InfoAsync(name, revision, cancellationToken)
        : throw new HubException($"'{revision}' is no revision: a branch, a tag or a commit is expected");

    /// <summary>Refuses what the disk has no room for, before anything is fetched.</summary>
    internal static void CheckRoom(string folder, long bytes)
    {
        Directory.CreateDirectory(folder);
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (bytes > free)
        {
            throw new HubException(FormattableString.Invariant(
                $"{bytes / 1e9:F2} GB are to be fetched, but {folder} has {free / 1e9:F2} GB free: make room, or set HF_HUB_CACHE (for a worker's layers CLEAVE_CACHE) to a larger disk"));
        }
    }

    private async Task<string> FetchModelAsync(HubName name, string revision, IProgress<PullProgress>? progress, CancellationToken cancellationToken)
    {
        // 1. What is wanted.
        RepositoryInfo info = await InfoAsync(name, revision, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<string> paths = FileChoice.Choose(name, info);

        // 2. Files.
        var files = new RemoteFile[paths.Count];
        await Parallel.ForAsync(0, files.Length, Options(cancellationToken), async (i, stop) =>
            files[i] = await _client.FileAsync(name, info.Commit, paths[i], stop).ConfigureAwait(false)).ConfigureAwait(false);
        long total = files.Sum(static file => file.Size);
        long missing = files.Where(file => !_cache.Has(file)).Sum(file => Math.Max(0, file.Size - LengthOf(_cache.Incomplete(name, file.Etag))));
        CheckRoom(_settings.CacheDirectory, missing);

        // 3. Bytes.
        long here = 0;
        await Parallel.ForEachAsync(files, Options(cancellationToken), async (file, stop) =>
        {
            await FetchFileAsync(file, grown => progress?.Report(new PullProgress(file.Path, Interlocked.Add(ref here, grown), total)), stop).ConfigureAwait(false);

            // 4. Links; the reference when all are there.
            _cache.Link(file);
        }).ConfigureAwait(false);
        _cache.SetReference(name, revision, info.Commit);
        string snapshot = Path.Combine(_settings.CacheDirectory, name.Folder, "snapshots", info.Commit);
        return paths is [var single] ? Path.Combine(snapshot, single) : snapshot;
    }

    private async Task FetchFileAsync(RemoteFile file, Action<long> grown, CancellationToken cancellationToken)
    {
        using IDisposable held = await _cache.LockAsync(file.Repository, file.Etag, cancellationToken).ConfigureAwait(false);
        if (_cache.Has(file))
        {
            grown(file.Size);
            return;
        }

        string incomplete = _cache.Incomplete(file.Repository, file.Etag);
        string found;
        using (var checksum = new BlobChecksum(file.Etag, file.Size))
        {
            await Download.RunAsync(incomplete, [new Piece.Remote(file, 0, file.Size)], checksum, grown, cancellationToken).ConfigureAwait(false);
            found = checksum.Finish();
        }

        if (found != file.Etag)
        {
            File.Delete(incomplete);
            throw new HubException(
                $"{file.Repository}: {file.Path} arrived damaged: its checksum is {found}, the hub states {file.Etag}; it was thrown away, pull again");
        }

        File.Move(incomplete, _cache.Blob(file.Repository, file.Etag), overwrite: true);
    }

    private static long LengthOf(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    private static ParallelOptions Options(CancellationToken cancellationToken) => new() { MaxDegreeOfParallelism = Files, CancellationToken = cancellationToken };

    private async Task<string> ReachingAsync(Func<Task<string>> pull)
    {
        try
        {
            return await pull().ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw new HubException($"{_settings.Endpoint.Host}: {e.Message}; what was fetched is kept: pull again to go on", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new HubException($"{e.Message} Set HF_HUB_CACHE or CLEAVE_CACHE to a folder that can be written", e);
        }
    }
}
