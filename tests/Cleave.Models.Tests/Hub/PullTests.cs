using System.Text;
using Cleave.Models.Hub;
using Cleave.Models.Tests.HuggingFace;
using Microsoft.AspNetCore.Http;

namespace Cleave.Models.Tests.Hub;

/// <summary>Whole models from a hub into the cache.</summary>
public sealed class PullTests : IAsyncLifetime, IDisposable
{
    private const int Segment = 4096;

    private static readonly HubName Name = HubName.Parse("tiny/model");

    private readonly TemporaryFolder _folder = new();
    private LocalHub _hub = null!;

    private HubSettings Settings => new()
    {
        Endpoint = _hub.Address,
        CacheDirectory = _folder.File("hub"),
        LayersDirectory = _folder.File("layers"),
        Token = "hf_secret",
    };

    private HubCache Cache => new(_folder.File("hub"));

    private string Root => _folder.File("hub/models--tiny--model");

    public async ValueTask InitializeAsync() => _hub = await LocalHub.StartAsync();

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ACheckpointLiesInTheCacheAsOtherToolsLayItOut()
    {
        AddCheckpoint();
        _hub.Files["README.md"] = "not needed"u8.ToArray();
        _hub.Files["pytorch_model.bin"] = [1, 2, 3];
        string path = await PullAsync();

        Assert.Equal(Path.Combine(Root, "snapshots", LocalHub.Commit), path);
        Assert.Equal(LocalHub.Commit, File.ReadAllText(Path.Combine(Root, "refs", "main")));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer_config.json"], Directory.GetFiles(path).Select(Path.GetFileName).Order());
        string weights = LocalHub.Sha256(_hub.Files["model.safetensors"]);
        Assert.Equal($"../../blobs/{weights}", new FileInfo(Path.Combine(path, "model.safetensors")).LinkTarget);
        Assert.Equal($"../../blobs/{LocalHub.GitSha1(_hub.Files["config.json"])}", new FileInfo(Path.Combine(path, "config.json")).LinkTarget);
        Assert.Equal(_hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(Root, "blobs", weights)));
        Assert.Equal(3, Directory.GetFiles(Path.Combine(Root, "blobs")).Length);
        Assert.True(File.Exists(_folder.File($"hub/.locks/models--tiny--model/{weights}.lock")));

        Assert.Equal(path, Cache.Locate(Name));
        using IModelSource model = ModelSource.Open(path);
        Assert.Equal("model", model.Config.Name);
        Assert.Equal((Name, path), Assert.Single(Cache.Models()));
    }

    [Fact]
    public async Task TheTokenGoesToTheHubAndNowhereElse()
    {
        AddCheckpoint();
        _hub.Token = "hf_secret";
        await PullAsync();
        Assert.Contains(_hub.Requests, static seen => seen is { ToStorage: true, Method: "GET" });
        Assert.All(_hub.Requests, static seen => Assert.Equal(seen.ToStorage ? null : "Bearer hf_secret", seen.Authorization));
    }

    [Theory]
    [InlineData("https://hub.example/api/x", "https://hub.example/", true)]
    [InlineData("http://127.0.0.1:80/x", "http://127.0.0.1/", true)]
    [InlineData("http://hub.example/x", "http://hub.example/", false)]
    [InlineData("https://hub.example:8443/x", "https://hub.example/", false)]
    [InlineData("https://cdn.hub.example/x", "https://hub.example/", false)]
    [InlineData("http://hub.example/x", "https://hub.example/", false)]
    public void WhoMayHaveTheToken(string uri, string endpoint, bool may) => Assert.Equal(may, HubClient.MayHaveToken(new Uri(uri), new Uri(endpoint)));

    [Theory]
    [InlineData("https://cdn.example/x", "https://hub.example/", true)]
    [InlineData("http://cdn.example/x", "https://hub.example/", false)]
    [InlineData("http://169.254.169.254/x", "https://hub.example/", false)]
    [InlineData("https://user@cdn.example/x", "https://hub.example/", false)]
    [InlineData("ftp://cdn.example/x", "http://hub.example/", false)]
    [InlineData("file:///etc/passwd", "http://hub.example/", false)]
    public void WhichRedirectsAreFollowed(string target, string endpoint, bool may) => Assert.Equal(may, HubClient.MayFollow(new Uri(target), new Uri(endpoint)));

    [Fact]
    public async Task APlainMirrorWillDo()
    {
        AddCheckpoint();
        _hub.IsPlainMirror = true;
        string path = await PullAsync();
        Assert.Equal(_hub.Files["model.safetensors"], File.ReadAllBytes(Path.Combine(path, "model.safetensors")));
        Assert.Equal(path, Cache.Locate(Name));
        Assert.DoesNotContain(_hub.Requests, static seen => seen.ToStorage);
    }

    [Fact]
    public async Task WhatIsHereIsNotFetchedAgain()
    {
        AddCheckpoint();
        string path = await PullAsync();
        _hub.Requests.Clear();
        Assert.Equal(path, await PullAsync());
        Assert.DoesNotContain(_hub.Requests, static seen => seen.ToStorage);
    }

    [Fact]
    public async Task TwoPullsAtOnceFetchOnce()
    {
        AddCheckpoint();
        string[] paths = await Task.WhenAll(PullAsync(), PullAsync());
        Assert.Equal(paths[0], paths[1]);
        (long?, long?)[] ranges = [.. _hub.Requests.Where(static seen => seen.ToStorage).Select(static seen => (seen.From, seen.To))];
        Assert.Equal(ranges.Distinct().Count(), ranges.Length);
    }

    [Fact]
    public async Task AnInterruptedPullGoesOnWhereItStopped()
    {
        byte[] bytes = AddGguf("model.gguf", 10 * Segment + 100);
        bool broken = true;
        _hub.Storage = (context, _, _) =>
        {
            if (broken && context.Request.GetTypedHeaders().Range!.Ranges.Single().From >= 5 * Segment)
            {
                context.Abort();
                return Task.FromResult(true);
            }

            return Task.FromResult(false);
        };
        HubException lost = await Assert.ThrowsAsync<HubException>(() => PullAsync());
        Assert.Contains("pull again to go on", lost.Message, StringComparison.Ordinal);

        // A prefix, under a name that is taken for no model.
        string incomplete = Path.Combine(Root, "blobs", LocalHub.Sha256(bytes) + ".incomplete");
        Assert.Equal(bytes[..(5 * Segment)], File.ReadAllBytes(incomplete));
        Assert.Contains("cleave pull tiny/model", Assert.Throws<ModelFormatException>(() => Cache.Locate(Name)).Message, StringComparison.Ordinal);
        Assert.Empty(Cache.Models());

        broken = false;
        _hub.Requests.Clear();
        string path = await PullAsync();
        Assert.Equal(bytes, File.ReadAllBytes(path));
        Assert.False(File.Exists(incomplete));
        Assert.Equal(5 * Segment, _hub.Requests.Where(static seen => seen.ToStorage).Min(static seen => seen.From));
    }

    [Fact]
    public async Task ConnectionsThatBreakInTheMiddleAreTakenUpAgain()
    {
        byte[] bytes = AddGguf("model.gguf", 3 * Segment);
        int breaks = 0;
        _hub.Storage = async (context, _, file) =>
        {
            if (Interlocked.Increment(ref breaks) > 4)
            {
                return false;
            }

            int from = (int)context.Request.GetTypedHeaders().Range!.Ranges.Single().From!;
            int to = (int)context.Request.GetTypedHeaders().Range!.Ranges.Single().To!;
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{to}/{file.Length}";
            context.Response.ContentLength = to - from + 1;
            await context.Response.Body.WriteAsync(file.AsMemory(from, 100));
            await context.Response.Body.FlushAsync();
            context.Abort();
            return true;
        };
        Assert.Equal(bytes, File.ReadAllBytes(await PullAsync()));
        Assert.InRange(breaks, 5, 12);
    }

    [Fact]
    public async Task AServerWithoutRangesIsReadThrough()
    {
        byte[] bytes = AddGguf("model.gguf", 5 * Segment);
        _hub.Storage = async (context, _, file) =>
        {
            context.Response.ContentLength = file.Length;
            await context.Response.Body.WriteAsync(file);
            return true;
        };

        // Also with a part here already.
        string incomplete = Path.Combine(Root, "blobs", LocalHub.Sha256(bytes) + ".incomplete");
        Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
        File.WriteAllBytes(incomplete, bytes[..1000]);
        Assert.Equal(bytes, File.ReadAllBytes(await PullAsync()));
        HubException partial = await Assert.ThrowsAsync<HubException>(() => Pull().LayersAsync(Name, new LayerRange(0, 1)));
        Assert.Contains("ignores byte ranges", partial.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AWrongChecksumIsThrownAway(bool small)
    {
        byte[] bytes = AddGguf("model.gguf", 2 * Segment);
        if (small)
        {
            _hub.Small.Add("model.gguf");
        }

        string other = small ? LocalHub.GitSha1([1]) : LocalHub.Sha256([1]);
        _hub.Describes = headers => headers[small ? "ETag" : "X-Linked-Etag"] = $"\"{other}\"";
        HubException damaged = await Assert.ThrowsAsync<HubException>(() => PullAsync());
        Assert.Contains(other, damaged.Message, StringComparison.Ordinal);
        Assert.Contains(small ? LocalHub.GitSha1(bytes) : LocalHub.Sha256(bytes), damaged.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Path.Combine(Root, "blobs")));
        Assert.False(Directory.Exists(Path.Combine(Root, "snapshots")));
        Assert.Throws<ModelFormatException>(() => Cache.Locate(Name));
    }

    [Fact]
    public async Task APartThatSomebodyDamagedIsNotBelieved()
    {
        byte[] bytes = AddGguf("model.gguf", 2 * Segment);
        string incomplete = Path.Combine(Root, "blobs", LocalHub.Sha256(bytes) + ".incomplete");
        Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
        File.WriteAllBytes(incomplete, new byte[1000]);
        await Assert.ThrowsAsync<HubException>(() => PullAsync());

        // It is gone, so the next pull starts afresh; and one that is too long is not gone on with.
        File.WriteAllBytes(incomplete, new byte[3 * Segment]);
        Assert.Equal(bytes, File.ReadAllBytes(await PullAsync()));
    }

    [Fact]
    public async Task ASignatureThatRanOutIsAskedForAgain()
    {
        byte[] bytes = AddGguf("model.gguf", 3 * Segment);
        int asked = 0;
        _hub.Describes = headers => headers.Location = headers.Location.ToString().Replace("good", Interlocked.Increment(ref asked) == 1 ? "stale" : "good", StringComparison.Ordinal);
        _hub.Storage = (context, _, _) =>
        {
            bool stale = context.Request.Query["signature"] == "stale";
            context.Response.StatusCode = stale ? 403 : 200;
            return Task.FromResult(stale);
        };
        Assert.Equal(bytes, File.ReadAllBytes(await PullAsync()));
    }

    [Fact]
    public async Task ADiskWithoutRoomIsSaidBeforeAnythingIsFetched()
    {
        AddGguf("model.gguf", Segment);
        _hub.Describes = static headers => headers["X-Linked-Size"] = "4000000000000000000";
        HubException full = await Assert.ThrowsAsync<HubException>(() => PullAsync());
        Assert.Contains("4000000000.00 GB", full.Message, StringComparison.Ordinal);
        Assert.Contains("HF_HUB_CACHE", full.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_hub.Requests, static seen => seen.ToStorage);
    }

    [Fact]
    public async Task CancellingKeepsWhatIsHere()
    {
        byte[] bytes = AddGguf("model.gguf", 20 * Segment);
        using var stop = new CancellationTokenSource();
        var stopping = new Stopping(stop, 4 * Segment);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Pull().ModelAsync(Name, progress: stopping, cancellationToken: stop.Token));
        byte[] part = File.ReadAllBytes(Path.Combine(Root, "blobs", LocalHub.Sha256(bytes) + ".incomplete"));
        Assert.InRange(part.Length, 4 * Segment, 19 * Segment);
        Assert.Equal(bytes[..part.Length], part);
        Assert.Equal(bytes, File.ReadAllBytes(await PullAsync()));
    }

    private HubPull Pull() => new(Settings, Segment, TimeSpan.FromMilliseconds(1));

    private async Task<string> PullAsync(string name = "tiny/model")
    {
        using HubPull pull = Pull();
        return await pull.ModelAsync(HubName.Parse(name), cancellationToken: TestContext.Current.CancellationToken);
    }

    private void AddCheckpoint()
    {
        _hub.AddFolder(new TinyCheckpoint().WriteTo(_folder));
        _hub.Files["tokenizer_config.json"] = Encoding.UTF8.GetBytes("{}");
        _hub.Small.Add("tokenizer_config.json");
    }

    private byte[] AddGguf(string path, int bytes)
    {
        byte[] content = new byte[bytes];
        new Random(bytes).NextBytes(content);
        return _hub.Files[path] = content;
    }

    private sealed class Stopping(CancellationTokenSource stop, long at) : IProgress<PullProgress>
    {
        public void Report(PullProgress value)
        {
            if (value.Bytes >= at)
            {
                stop.Cancel();
            }
        }
    }
}
