using Cleave.Models.Hub;

namespace Cleave.Models.Tests.Hub;

/// <summary>Names of models, and the environment that says where they are.</summary>
public sealed class HubNameTests
{
    [Theory]
    [InlineData("Qwen/Qwen3-0.6B", "Qwen", "Qwen3-0.6B", null)]
    [InlineData("a/b:c.gguf", "a", "b", "c.gguf")]
    [InlineData("a/b:x/y-Q4_K_M.gguf", "a", "b", "x/y-Q4_K_M.gguf")]
    [InlineData("a/b:Q4_K_M", "a", "b", "Q4_K_M")]
    public void Names(string text, string owner, string name, string? file)
    {
        Assert.Equal(new HubName(owner, name, file), HubName.Parse(text));
        Assert.Equal(text, HubName.Parse(text).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("model.gguf")]
    [InlineData("a/b/c")]
    [InlineData("/a/b")]
    [InlineData("../b")]
    [InlineData("a/..")]
    [InlineData("a--b/c")]
    [InlineData("a/b..c")]
    [InlineData("a/b:")]
    [InlineData("a/b:../c")]
    [InlineData("a/b:/c")]
    [InlineData("a/b\n")]
    [InlineData("a b/c")]
    public void NotNames(string text) => Assert.Throws<FormatException>(() => HubName.Parse(text));

    [Fact]
    public void TheEnvironmentIsReadAsOtherToolsReadIt()
    {
        HubSettings Read(params (string Name, string Value)[] variables) =>
            HubSettings.FromEnvironment(name => variables.FirstOrDefault(variable => variable.Name == name).Value);

        Assert.Equal("https://huggingface.co/", Read().Endpoint.ToString());
        Assert.EndsWith(Path.Combine(".cache", "huggingface", "hub"), Read().CacheDirectory, StringComparison.Ordinal);
        Assert.Equal("/h/hub", Read(("HF_HOME", "/h")).CacheDirectory);
        Assert.Equal("/c", Read(("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")).CacheDirectory);
        Assert.Equal("/x/huggingface/hub", Read(("XDG_CACHE_HOME", "/x")).CacheDirectory);
        Assert.Equal("https://mirror.example/hf/", Read(("HF_ENDPOINT", "https://mirror.example/hf/")).Endpoint.ToString());
        Assert.Equal("t", Read(("HF_TOKEN", " t\n")).Token);
        Assert.True(Read(("HF_HUB_OFFLINE", "1")).Offline);
        Assert.Contains("HF_ENDPOINT", Assert.Throws<HubException>(() => Read(("HF_ENDPOINT", "huggingface.co"))).Message, StringComparison.Ordinal);

        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("token"), "stored\n");
        Assert.Equal("stored", Read(("HF_HOME", folder.Path)).Token);
        Assert.Equal("given", Read(("HF_HOME", folder.Path), ("HF_TOKEN", "given")).Token);
    }
}
