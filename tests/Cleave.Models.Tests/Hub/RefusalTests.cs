using Cleave.Models.Hub;

namespace Cleave.Models.Tests.Hub;

/// <summary>What a hub may not do, and what the user is told when it refuses.</summary>
public sealed class RefusalTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private LocalHub _hub = null!;

    public async ValueTask InitializeAsync() => _hub = await LocalHub.StartAsync();

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(401, "GatedRepo", null, "is gated", "HF_TOKEN")]
    [InlineData(403, "GatedRepo", "hf_x", "your HF_TOKEN has no access", "accept its licence at")]
    [InlineData(403, "", null, "is gated", "HF_TOKEN")]
    [InlineData(401, "RepoNotFound", null, "does not exist, or is private or gated", "HF_TOKEN")]
    [InlineData(401, "", "hf_x", "does not accept your HF_TOKEN", "settings/tokens")]
    [InlineData(404, "RepoNotFound", null, "has no model tiny/model", "tiny/model")]
    [InlineData(404, "RevisionNotFound", null, "has no revision 'main'", "tiny/model")]
    [InlineData(429, "", null, "asks for patience", "HF_TOKEN")]
    [InlineData(500, "", null, "answered 500", "try again later")]
    public async Task EachRefusalSaysWhatToDo(int status, string code, string? token, string says, string remedy)
    {
        _hub.Refuses = (status, code);
        string message = (await FailsAsync(token: token)).Message;
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.Contains(remedy, message, StringComparison.Ordinal);
        Assert.DoesNotContain("hf_x", message, StringComparison.Ordinal);
        if (status is 401 or 403)
        {
            Assert.Contains(new Uri(_hub.Address, "tiny/model").ToString(), message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AFileThatIsNotThereIsNamed()
    {
        _hub.Files["a.Q4_K_M.gguf"] = [1];
        Assert.Contains("no file 'b.gguf'", (await FailsAsync("tiny/model:b.gguf")).Message, StringComparison.Ordinal);
        Assert.Contains("cleave pull tiny/model:a.Q4_K_M.gguf", (await FailsAsync("tiny/model:Q5_K_M")).Message, StringComparison.Ordinal);
        Assert.Contains("no model other/model", (await FailsAsync("other/model")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneOfManyQuantisationsHasToBeNamed()
    {
        foreach (string file in (string[])["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "mmproj-m.gguf", "big/m-00001-of-00002.gguf"])
        {
            _hub.Files[file] = [(byte)file.Length];
        }

        string message = (await FailsAsync()).Message;
        Assert.Contains("4 GGUF files", message, StringComparison.Ordinal);
        Assert.Contains("\n  cleave pull tiny/model:m-Q4_K_M.gguf   (0.00 GB)", message, StringComparison.Ordinal);
        Assert.Contains("fits several", (await FailsAsync("tiny/model:m")).Message, StringComparison.Ordinal);
        Assert.Contains("several parts", (await FailsAsync("tiny/model:big/m-00001-of-00002.gguf")).Message, StringComparison.Ordinal);

        // A part of the name that is one file's alone is enough, here and in the cache.
        using HubPull pull = new(Settings(null));
        string path = await pull.ModelAsync(HubName.Parse("tiny/model:q4_k_m"), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("m-Q4_K_M.gguf", Path.GetFileName(path));
        HubCache cache = new(_folder.File("hub"));
        Assert.Equal(path, cache.Locate(HubName.Parse("tiny/model:Q4_K_M")));
        Assert.Equal(path, cache.Locate(HubName.Parse("tiny/model:m-Q4_K_M.gguf")));
        Assert.Equal(path, cache.Locate(HubName.Parse("tiny/model")));
        Assert.Contains("cleave pull tiny/model:Q8_0", Assert.Throws<ModelFormatException>(() => cache.Locate(HubName.Parse("tiny/model:Q8_0"))).Message, StringComparison.Ordinal);
        await pull.ModelAsync(HubName.Parse("tiny/model:Q8_0"), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Contains("tiny/model:m-Q8_0.gguf", Assert.Throws<ModelFormatException>(() => cache.Locate(HubName.Parse("tiny/model"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../../../evil.gguf")]
    [InlineData("/etc/evil.gguf")]
    [InlineData("a/../../evil.gguf")]
    [InlineData("a\\..\\evil.gguf")]
    [InlineData("C:evil.gguf")]
    [InlineData("a//evil.gguf")]
    [InlineData("./evil.gguf")]
    [InlineData("evil\n.gguf")]
    [InlineData("evil.gguf ")]
    [InlineData("")]
    public async Task AFileNameThatLeadsOutOfTheCacheStopsThePull(string path)
    {
        _hub.AlsoListed.Add(path);
        _hub.Files["good.gguf"] = [1];
        Assert.Contains("could lead out of the cache", (await FailsAsync("tiny/model:good.gguf")).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("../../evil")]
    [InlineData("")]
    [InlineData("5d41402abc4b2a76b9719d911017c592")]
    [InlineData("0123456789ABCDEF0123456789ABCDEF01234567")]
    public async Task AnEtagThatIsNoChecksumIsRefused(string etag)
    {
        _hub.Files["good.gguf"] = [1];
        _hub.Describes = headers => headers["X-Linked-Etag"] = $"\"{etag}\"";
        Assert.Contains("no SHA-256", (await FailsAsync()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://127.0.0.1/x")]
    [InlineData("gopher://x")]
    public async Task ARedirectToNowhereGoodIsNotFollowed(string location)
    {
        _hub.Files["good.gguf"] = [1];
        _hub.Describes = headers => headers.Location = location;
        Assert.Contains("is not followed", (await FailsAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ACircleOfRedirectsEnds()
    {
        _hub.Files["good.gguf"] = [1];
        _hub.Describes = headers => headers.Location = $"/tiny/model/resolve/{LocalHub.Commit}/good.gguf";
        Assert.Contains("in a circle", (await FailsAsync()).Message, StringComparison.Ordinal);
        Assert.InRange(_hub.Requests.Count, 2, 10);
    }

    [Fact]
    public async Task ARangeThatWasNotAskedForIsRefused()
    {
        _hub.Files["good.gguf"] = new byte[10000];
        _hub.Storage = static async (context, _, file) =>
        {
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes 1-{file.Length}/{file.Length + 1}";
            await context.Response.Body.WriteAsync(file);
            return true;
        };
        Assert.Contains("were asked for", (await FailsAsync()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AHubThatIsNotThereIsSaid()
    {
        HubSettings settings = Settings(null) with { Endpoint = new Uri("http://127.0.0.1:9/") };
        using var pull = new HubPull(settings);
        Assert.Contains("127.0.0.1", (await Assert.ThrowsAsync<HubException>(() => pull.ModelAsync(HubName.Parse("a/b")))).Message, StringComparison.Ordinal);
        Assert.Contains("HF_HUB_OFFLINE", Assert.Throws<HubException>(() => new HubPull(settings with { Offline = true })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PickledWeightsAreNotAModel()
    {
        _hub.Files["config.json"] = "{}"u8.ToArray();
        _hub.Files["pytorch_model.bin"] = [1];
        Assert.Contains("pickled", (await FailsAsync()).Message, StringComparison.Ordinal);
    }

    private HubSettings Settings(string? token) => new()
    {
        Endpoint = _hub.Address,
        CacheDirectory = _folder.File("hub"),
        LayersDirectory = _folder.File("layers"),
        Token = token,
    };

    private async Task<HubException> FailsAsync(string name = "tiny/model", string? token = null)
    {
        using HubPull pull = new(Settings(token), segmentBytes: 4096, TimeSpan.FromMilliseconds(1));
        return await Assert.ThrowsAsync<HubException>(() => pull.ModelAsync(HubName.Parse(name)));
    }
}
