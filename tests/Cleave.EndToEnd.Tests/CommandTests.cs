using System.IO.Compression;
using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary>The smaller commands, and what mistakes on the command line look like.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task TokenizePrintsIdsWithoutBos()
    {
        ReferenceText reference = ReferenceText.All[0];
        CliResult result = await Cli.RunAsync("tokenize", "--text", reference.Prompt, "--json");
        int[] ids = [.. result.Expect(0).Json.EnumerateArray().Select(static id => id.GetInt32())];
        Assert.Equal(reference.PromptIds[1..], ids);
    }

    [Fact]
    public async Task TokenizeTreatsControlTokensAsTextWhenAsked()
    {
        CliResult control = await Cli.RunAsync(["tokenize", "--json"], input: "x<|end|>y");
        CliResult text = await Cli.RunAsync(["tokenize", "--json", "--plain"], input: "x<|end|>y");
        Assert.Equal("[93,3,94]", control.Expect(0).Output.Trim());
        Assert.DoesNotContain(3, text.Expect(0).Json.EnumerateArray().Select(static id => id.GetInt32()));
    }

    [Theory]
    [InlineData("ggml-vocab-gpt-2.gguf")]
    [InlineData("ggml-vocab-llama-spm.gguf")]
    public async Task TokenizeNeedsNoWeights(string name)
    {
        string fixtures = Path.Combine(Cli.RepositoryRoot, "tests", "Cleave.Tokenization.Tests", "fixtures", "tokenizers");
        string path = Path.Combine(Directory.CreateTempSubdirectory("cleave-vocabulary-").FullName, name);
        await using (var packed = new BrotliStream(File.OpenRead(Path.Combine(fixtures, name + ".br")), CompressionMode.Decompress))
        await using (FileStream unpacked = File.Create(path))
        {
            await packed.CopyToAsync(unpacked);
        }

        string[] inputs = (await File.ReadAllTextAsync(Path.Combine(fixtures, name + ".inp"))).Split("\n__ggml_vocab_test__\n");
        string[] outputs = await File.ReadAllLinesAsync(Path.Combine(fixtures, name + ".out"));
        int longest = Enumerable.Range(0, outputs.Length).MaxBy(i => outputs[i].Length);
        CliResult result = await Cli.RunAsync(["tokenize", "--model", path, "--json"], input: inputs[longest]);
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        Assert.Equal(outputs[longest].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse), result.Expect(0).Json.EnumerateArray().Select(static id => id.GetInt32()));
    }

    [Fact]
    public async Task InspectAddsUp()
    {
        JsonElement json = (await Cli.RunAsync("inspect", "--json", "--head", "3", "--tail", "1")).Expect(0).Json;
        Assert.Equal("llama", json.GetProperty("architecture").GetString());
        Assert.Equal("0..3", json.GetProperty("head").GetProperty("layers").GetString());
        Assert.Equal("3..11", json.GetProperty("middle").GetProperty("layers").GetString());
        long sides = ((string[])["head", "middle", "tail"]).Sum(side => json.GetProperty(side).GetProperty("weightBytes").GetInt64());
        Assert.Equal(json.GetProperty("bytesByType").EnumerateObject().Sum(static type => type.Value.GetInt64()), sides);
        Assert.InRange(sides, 0, new FileInfo(Cli.Model).Length);
        Assert.Equal(2 * 2 * 64 * sizeof(float), json.GetProperty("kvBytesPerTokenAndLayer").GetInt32());
    }

    [Fact]
    public async Task WanCalibratesItself()
    {
        CliResult result = (await Cli.RunAsync("wan", "--rtt", "10ms", "--calibrate")).Expect(0);
        Assert.StartsWith("asked 10 ms", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "frob")]
    [InlineData(2, "run")]
    [InlineData(2, "run", "--prompt", "x", "--prompt-file", "y")]
    [InlineData(2, "run", "--prompt", "x", "--decoder", "psychic")]
    [InlineData(2, "run", "--prompt", "x", "--local", "--worker", "cleave://a:1#b:c")]
    [InlineData(2, "run", "--prompt", "x", "--wan", "80")]
    [InlineData(2, "run", "--prompt", "x", "--wire", "f8")]
    [InlineData(2, "run", "--prompt", "x", "--max-tokens", "0")]
    [InlineData(2, "wan", "--rtt", "80ms")]
    [InlineData(2, "export", "--layers", "5..5", "--out", "x")]
    [InlineData(2, "demo", "--prompts", "99")]
    [InlineData(1, "run", "--prompt", "x", "--head", "0")]
    [InlineData(1, "run", "--prompt", "x", "--head", "6", "--tail", "6")]
    [InlineData(1, "run", "--prompt", "x", "--temperature", "-1", "--local")]
    [InlineData(1, "run", "--prompt", "x", "--model", "missing.gguf")]
    [InlineData(1, "run", "--prompt", "x", "--worker", "cleave://127.0.0.1:1#secretsecret:token")]
    [InlineData(1, "run", "--prompt", "x", "--worker-file", "missing.link")]
    [InlineData(1, "run", "--prompt-file", "missing.txt", "--local")]
    [InlineData(1, "inspect", "--model", ".")]
    [InlineData(1, "inspect", "--model", "")]
    [InlineData(1, "inspect", "--model", "no-such-owner/no-such-model")]
    [InlineData(2, "pull", "../..")]
    public async Task AMistakeIsNamedInALineAndShowsNoStack(int exitCode, params string[] arguments)
    {
        CliResult result = (await Cli.RunAsync(arguments)).Expect(exitCode);
        Assert.StartsWith("error: ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secretsecret", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
        Assert.InRange(result.Error.Trim().Split('\n').Length, 1, 4);
    }

    [Fact]
    public async Task HelpTeachesEveryCommandWithExamples()
    {
        CliResult root = (await Cli.RunAsync("--help")).Expect(0);
        foreach (string command in (string[])["demo", "run", "chat", "wan", "export", "inspect", "tokenize", "pull", "models", "verify"])
        {
            Assert.Contains($"  {command} ", root.Output, StringComparison.Ordinal);
            CliResult help = (await Cli.RunAsync(command, "--help")).Expect(0);
            Assert.Contains("Examples:", help.Output, StringComparison.Ordinal);
            Assert.Contains($"  cleave {command}", help.Output, StringComparison.Ordinal);
        }
    }
}
