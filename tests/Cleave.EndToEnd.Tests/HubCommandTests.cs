using System.Text.Json;
using Cleave.Models.Tests.Hub;

namespace Cleave.EndToEnd.Tests;

/// <summary>From a hub to tokens: pull, models, --model by name, and a worker that fetches its own layers.</summary>
public sealed class HubCommandTests : IAsyncLifetime
{
    private static readonly string[] Run = ["run", "--prompt", "Once upon a time", "--json", "--max-tokens", "6"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-hub-");
    private LocalHub _hub = null!;
    private Dictionary<string, string?> _environment = [];

    public async ValueTask InitializeAsync()
    {
        _hub = await LocalHub.StartAsync();
        _hub.Files["demo-Q8_0.gguf"] = await File.ReadAllBytesAsync(Cli.Model);
        _environment = new()
        {
            ["HF_ENDPOINT"] = _hub.Address.ToString(),
            ["HF_HOME"] = _folder.FullName,
            ["HF_HUB_CACHE"] = null,
            ["HF_TOKEN"] = null,
            ["CLEAVE_CACHE"] = Path.Combine(_folder.FullName, "layers"),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task APulledModelIsListedAndRunsByItsName()
    {
        CliResult absent = (await CleaveAsync(["inspect", "--model", "tiny/model"])).Expect(1);
        Assert.Contains("cleave pull tiny/model", absent.Error, StringComparison.Ordinal);

        string path = (await CleaveAsync(["pull", "tiny/model:Q8_0"])).Expect(0).Output.Trim();
        Assert.Equal(await File.ReadAllBytesAsync(Cli.Model), await File.ReadAllBytesAsync(path));

        JsonElement[] models = [.. (await CleaveAsync(["models", "--json"])).Expect(0).Json.EnumerateArray()];
        JsonElement cached = Assert.Single(models, static model => model.GetProperty("source").GetString() == "cache");
        Assert.Equal("tiny/model:demo-Q8_0.gguf", cached.GetProperty("name").GetString());
        JsonElement bundled = Assert.Single(models, static model => model.GetProperty("name").GetString() == "cleave-demo-24m.q8_0.gguf");
        foreach (string fact in (string[])["family", "layers", "hiddenSize", "bytes", "layerBytes", "endBytes", "rowBytes"])
        {
            Assert.Equal(bundled.GetProperty(fact).ToString(), cached.GetProperty(fact).ToString());
            Assert.NotEmpty(cached.GetProperty(fact).ToString());
        }

        Assert.Contains("tiny/model:demo-Q8_0.gguf", (await CleaveAsync(["models"])).Expect(0).Output, StringComparison.Ordinal);
        int[] expected = (await CleaveAsync([.. Run, "--local"])).Expect(0).Tokens;
        Assert.Equal(expected, (await CleaveAsync([.. Run, "--model", "tiny/model"])).Expect(0).Tokens);
    }

    [Fact]
    public async Task AWorkerFetchesItsLayersAndServesThem()
    {
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(["--pull", "tiny/model", "--layers", "2..10"], _environment);
        CliResult split = (await CleaveAsync([.. Run, "--worker-file", worker.LinkFile])).Expect(0);
        Assert.Equal((await CleaveAsync([.. Run, "--local"])).Expect(0).Tokens, split.Tokens);

        // Less than the file, by the ends at least; and no notice that the worker's file holds more than it needs.
        long fetched = _hub.Requests.Where(static seen => seen.ToStorage).Sum(static seen => seen.To!.Value - seen.From!.Value + 1);
        Assert.InRange(fetched, 1, new FileInfo(Cli.Model).Length * 8 / 10);
        Assert.DoesNotContain("cleave export", split.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RefusalsAreALineWithTheRemedy()
    {
        _hub.Refuses = (403, "GatedRepo");
        string gated = (await CleaveAsync(["pull", "tiny/model"])).Expect(1).Error;
        Assert.Contains("HF_TOKEN", gated, StringComparison.Ordinal);
        Assert.Contains($"{_hub.Address}tiny/model", gated, StringComparison.Ordinal);
        Assert.Contains("OWNER/NAME", (await CleaveAsync(["pull", "nonsense"])).Expect(2).Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", gated, StringComparison.Ordinal);
    }

    private Task<CliResult> CleaveAsync(string[] arguments) => Cli.RunAsync(arguments, input: "", _environment);
}
