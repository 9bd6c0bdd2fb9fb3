using System.Text.Json.Nodes;
using Cleave.Models.Gguf;
using Cleave.Models.Hub;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;
using Cleave.Models.Tests.HuggingFace;

namespace Cleave.Models.Tests.Hub;

/// <summary>A worker's layers: their byte ranges and nothing else.</summary>
public sealed class LayerPullTests : IAsyncLifetime, IDisposable
{
    private const int Segment = 1 << 16;

    private static readonly HubName Name = HubName.Parse("tiny/model");
    private static readonly LayerRange Range = new(1, 3);

    private readonly TemporaryFolder _folder = new();
    private LocalHub _hub = null!;

    public async ValueTask InitializeAsync() => _hub = await LocalHub.StartAsync();

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task OfAGgufFile()
    {
        _hub.Files["draft.gguf"] = File.ReadAllBytes(Repository.Draft);
        string path = await PullAsync();

        // The very file that an export of the whole model gives.
        using GgufModel whole = GgufModel.Open(Repository.Draft);
        MiddleExport.Write(whole, Range, _folder.File("export.gguf"));
        Assert.Equal(File.ReadAllBytes(_folder.File("export.gguf")), File.ReadAllBytes(path));
        Assert.True(whole.Metadata.ArrayLength("tokenizer.ggml.tokens") > 1000);
        using GgufModel middle = GgufModel.Open(path);
        Assert.False(middle.HasEnds);
        Assert.Equal(Range, middle.Layers);
        OnlyLayersWereAskedFor(whole.Tensors.Values, static name => name.StartsWith("blk.1.", StringComparison.Ordinal) || name.StartsWith("blk.2.", StringComparison.Ordinal));

        // A header of unknown length, in few requests.
        long data = whole.Tensors.Values.Min(static tensor => tensor.Offset);
        Assert.InRange(_hub.Requests.Count(seen => seen.ToStorage && seen.To < data), 2, 80);
    }

    [Fact]
    public async Task OfACheckpoint()
    {
        string checkpoint = new TinyCheckpoint(layers: 4).WriteTo(_folder);
        _hub.AddFolder(checkpoint);
        string path = await PullAsync();
        using HfModel whole = HfModel.Open(checkpoint);
        MiddleExport.Write(whole, Range, _folder.File("export"));
        foreach (string file in (string[])["config.json", "model.safetensors"])
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder.File("export"), file)), File.ReadAllBytes(Path.Combine(path, file)));
        }

        using HfModel middle = HfModel.Open(path);
        Assert.False(middle.HasEnds);
        Assert.Equal(LayerHash.Compute(whole, 2), LayerHash.Compute(middle, 2));
        OnlyLayersWereAskedFor(whole.Tensors.Values, IsWanted);
    }

    [Fact]
    public async Task OfShardsThoseThatHoldALayer()
    {
        // Three shards, of which the last holds no layer that is wanted.
        string checkpoint = new TinyCheckpoint(layers: 4).WriteTo(_folder);
        Split(checkpoint, name => name.Contains(".3.", StringComparison.Ordinal) || name == "model.norm.weight" ? 2 : name.Contains("_proj", StringComparison.Ordinal) ? 1 : 0);
        _hub.AddFolder(checkpoint);
        string path = await PullAsync();
        using HfModel whole = HfModel.Open(checkpoint);
        using HfModel middle = HfModel.Open(path);
        Assert.Equal(LayerHash.Compute(whole, 1), LayerHash.Compute(middle, 1));
        Assert.Equal(LayerHash.Compute(whole, 2), LayerHash.Compute(middle, 2));
        Assert.DoesNotContain(_hub.Requests, static seen => seen.Path.Contains("model-00003", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AnInterruptedOneGoesOn()
    {
        _hub.Files["draft.gguf"] = File.ReadAllBytes(Repository.Draft);
        using GgufModel whole = GgufModel.Open(Repository.Draft);
        StoredTensor last = whole.Tensors.Values.Where(static tensor => tensor.Name.StartsWith("blk.2.", StringComparison.Ordinal)).MaxBy(static tensor => tensor.Offset)!;
        bool broken = true;
        _hub.Storage = (context, _, _) =>
        {
            if (broken && Microsoft.AspNetCore.Http.HeaderDictionaryTypeExtensions.GetTypedHeaders(context.Request).Range!.Ranges.Single().To >= last.Offset)
            {
                context.Abort();
                return Task.FromResult(true);
            }

            return Task.FromResult(false);
        };
        await Assert.ThrowsAsync<HubException>(PullAsync);
        string incomplete = Assert.Single(Directory.GetFiles(_folder.File("layers"), "*.incomplete", SearchOption.AllDirectories));
        long had = new FileInfo(incomplete).Length;
        Assert.InRange(had, 1, last.Offset);
        broken = false;
        _hub.Requests.Clear();
        string path = await PullAsync();
        MiddleExport.Write(whole, Range, _folder.File("export.gguf"));
        Assert.Equal(File.ReadAllBytes(_folder.File("export.gguf")), File.ReadAllBytes(path));
        long data = whole.Tensors.Values.Min(static tensor => tensor.Offset);
        long fetched = _hub.Requests.Where(seen => seen.ToStorage && seen.From >= data).Sum(static seen => seen.To!.Value - seen.From!.Value + 1);
        Assert.InRange(fetched, 1, new FileInfo(path).Length - had);

        // And one that is here is not fetched at all.
        _hub.Requests.Clear();
        Assert.Equal(path, await PullAsync());
        Assert.DoesNotContain(_hub.Requests, static seen => seen.ToStorage);
    }

    [Fact]
    public async Task LayersThatAreNotThereAreRefused()
    {
        _hub.AddFolder(new TinyCheckpoint(layers: 2).WriteTo(_folder));
        Assert.Contains("has 2 layers", (await Assert.ThrowsAsync<ModelFormatException>(PullAsync)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AHeaderThatLiesIsRefused()
    {
        byte[] file = File.ReadAllBytes(Repository.Draft);
        BitConverter.TryWriteBytes(file.AsSpan(8), (ulong)file.Length);
        _hub.Files["draft.gguf"] = file;
        Assert.Contains("tensor count", (await Assert.ThrowsAsync<ModelFormatException>(PullAsync)).Message, StringComparison.Ordinal);
        Assert.InRange(_hub.Requests.Count, 1, 10);
    }

    private static bool IsWanted(string name) => name.StartsWith("model.layers.1.", StringComparison.Ordinal) || name.StartsWith("model.layers.2.", StringComparison.Ordinal);

    private static void Split(string checkpoint, Func<string, int> shardOf)
    {
        string single = Path.Combine(checkpoint, "model.safetensors");
        var tensors = new Dictionary<string, StoredTensor>();
        Safetensors.Read(single, tensors);
        var map = new JsonObject();
        for (int shard = 0; shard < 3; shard++)
        {
            StoredTensor[] own = [.. tensors.Values.Where(tensor => shardOf(tensor.Name) == shard)];
            string file = $"model-{shard + 1:00000}-of-00003.safetensors";
            SafetensorsWriter.Write(Path.Combine(checkpoint, file), own, null, CancellationToken.None);
            Array.ForEach(own, tensor => map[tensor.Name] = file);
        }

        File.WriteAllText(Path.Combine(checkpoint, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
        File.Delete(single);
    }

    // Of the data, just the wanted tensors' bytes (and padding between them) were asked for.
    private void OnlyLayersWereAskedFor(IEnumerable<StoredTensor> tensors, Func<string, bool> wanted)
    {
        LocalHub.Seen[] ranges = [.. _hub.Requests.Where(static seen => seen.ToStorage)];
        Assert.All(ranges, static seen => Assert.NotNull(seen.To));
        foreach (StoredTensor tensor in tensors)
        {
            long asked = ranges.Sum(seen => Math.Max(0, Math.Min(seen.To!.Value + 1, tensor.Offset + tensor.ByteLength) - Math.Max(seen.From!.Value, tensor.Offset)));
            Assert.True(asked == (wanted(tensor.Name) ? tensor.ByteLength : 0), $"{tensor.Name}: {asked} of {tensor.ByteLength} bytes");
        }
    }

    private async Task<string> PullAsync()
    {
        using HubPull pull = new(
            new HubSettings { Endpoint = _hub.Address, CacheDirectory = _folder.File("hub"), LayersDirectory = _folder.File("layers") }, Segment, TimeSpan.FromMilliseconds(1));
        return await pull.LayersAsync(Name, Range, cancellationToken: TestContext.Current.CancellationToken);
    }
}
