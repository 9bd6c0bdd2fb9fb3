using System.Text;
using Cleave.Protocol.Codec;

namespace Cleave.Protocol.Tests.Codec;

public sealed class DescriptionCodecTests
{
    public static WorkerDescription Sample { get; } = new()
    {
        MinVersion = 1,
        MaxVersion = 1,
        ModelName = "demo",
        Architecture = "llama",
        LayerStart = 2,
        LayerEnd = 4,
        HiddenSize = 384,
        LayerHashes = [new string('a', 64), new string('0', 64)],
        WireTypes = [WireType.F32, WireType.Q8],
        KernelFingerprint = "cpu-1",
        Limits = new WorkerLimits
        {
            MaxRowsPerStep = 256,
            MaxFrameBytes = 1 << 20,
            MaxFramesInFlight = 16,
            MaxKvTokensPerSession = 4096,
            MaxKvTokensPerTenant = 8192,
            MaxSessionsPerTenant = 4,
            MaxRowsPerSecond = 10_000,
            IdleSeconds = 600,
        },
        Load = new WorkerLoad { Sessions = 1, KvTokensTotal = 8192 },
        Notices = ["this worker's file contains the embedding"],
    };

    [Fact]
    public void Reads_back()
    {
        Assert.True(DescriptionCodec.TryRead(DescriptionCodec.Write(Sample), out WorkerDescription? read, out _));
        Assert.Equivalent(Sample, read, strict: true);
    }

    [Theory]
    [InlineData("\"layerEnd\":4", "\"layerEnd\":2000000000", "layers")]
    [InlineData("\"layerEnd\":4", "\"layerEnd\":3", "2 layer hashes for 1")]
    [InlineData("\"hiddenSize\":384", "\"hiddenSize\":-1", "hidden size")]
    [InlineData("\"hiddenSize\":384", "\"hiddenSize\":1e99", "JSON")]
    [InlineData("\"minVersion\":1", "\"minVersion\":9", "versions are 9 to 1")]
    [InlineData("\"modelName\":\"demo\"", "\"modelName\":null", "JSON")]
    [InlineData("\"cpu-1\"", "null", "JSON")]
    [InlineData("\"maxRowsPerStep\":256", "\"maxRowsPerStep\":0", "limit")]
    [InlineData("aaaa", "AAAA", "hash of layer 2")]
    [InlineData("\"hiddenSize\":384,", "", "JSON")]
    public void A_hostile_description_is_refused(string from, string to, string expected)
    {
        string json = Encoding.UTF8.GetString(DescriptionCodec.Write(Sample));
        string hostile = json.Replace(from, to);
        Assert.NotEqual(json, hostile);
        Assert.False(DescriptionCodec.TryRead(Encoding.UTF8.GetBytes(hostile), out _, out WireError? error));
        Assert.Contains(expected, error!.Message);
    }

    [Fact]
    public void Unknown_fields_and_wire_types_of_a_newer_worker_are_skipped()
    {
        string json = Encoding.UTF8.GetString(DescriptionCodec.Write(Sample)).Replace("\"wireTypes\":[0,3]", "\"future\":{\"x\":1},\"wireTypes\":[0,3,77]");
        Assert.Contains("future", json);
        Assert.True(DescriptionCodec.TryRead(Encoding.UTF8.GetBytes(json), out WorkerDescription? read, out WireError? error), error?.Message);
        Assert.Equal([WireType.F32, WireType.Q8], read!.WireTypes);
    }

    [Fact]
    public void Texts_cannot_drive_the_terminal()
    {
        Assert.True(DescriptionCodec.TryRead(DescriptionCodec.Write(Sample with { ModelName = "de\u001b[31mmo" }), out WorkerDescription? read, out _));
        Assert.Equal("de?[31mmo", read!.ModelName);
    }
}
