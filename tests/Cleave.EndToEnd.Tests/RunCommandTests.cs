using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave run</c> with a worker process of its own, against the reference texts.</summary>
public sealed class RunCommandTests
{
    public static TheoryData<int, string, string> Runs
    {
        get
        {
            var runs = new TheoryData<int, string, string>();
            foreach (string where in (string[])["--local", "--head 2 --tail 2", "--head 1 --tail 4 --wan 4ms"])
            {
                foreach (string decoder in (string[])["sequential", "ngram", "suffix"])
                {
                    // Each combination meets other texts; together they cover a good part of the file.
                    runs.Add(runs.Count * 5 % ReferenceText.All.Count, where, decoder);
                }
            }

            return runs;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task GreedyTokensAreTheReferencesUnsplitSplitAndWithEveryDecoder(int index, string where, string decoder)
    {
        ReferenceText reference = ReferenceText.All[index];
        Assert.True(reference.MinTop2Gap > 1e-3, "the comparison holds up to a near-tie; this text has one");
        CliResult result = await Cli.RunAsync(
            ["run", "--prompt", reference.Prompt, "--json", "--no-stop", "--max-tokens", "64", "--decoder", decoder, .. where.Split(' ')]);
        result.Expect(0);
        Assert.Equal(reference.GreedyIds, result.Tokens);
        Assert.Equal(reference.PromptIds.Length, result.Json.GetProperty("promptTokens").GetInt32());
    }

    /// <summary>Nothing of the bundled model is BF16, so packing finds nothing to do, which is said; the option reaches both processes all the same.</summary>
    [Fact]
    public async Task PackedWeightsGiveTheReferencesTokens()
    {
        ReferenceText reference = ReferenceText.All[1];
        CliResult result = await Cli.RunAsync(
            "run", "--prompt", reference.Prompt, "--json", "--no-stop", "--max-tokens", "64", "--decoder", "sequential", "--weights", "packed", "--device", "cpu", "--worker-device", "cpu");
        result.Expect(0);
        Assert.Equal(reference.GreedyIds, result.Tokens);
        Assert.Contains("has no BF16 matrix", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheJsonReportIsCompleteAndConsistent()
    {
        CliResult result = await Cli.RunAsync(
            "run", "--prompt", "Once upon a time", "--json", "--max-tokens", "24", "--head", "2", "--tail", "3", "--wan", "30ms", "--decoder", "sequential", "--seed", "7");
        result.Expect(0);
        JsonElement json = result.Json;
        Assert.Equal("sequential", json.GetProperty("decoder").GetString());
        Assert.Equal((2, 3, 12), (json.GetProperty("head").GetInt32(), json.GetProperty("tail").GetInt32(), json.GetProperty("layers").GetInt32()));
        Assert.Equal(7UL, json.GetProperty("seed").GetUInt64());
        Assert.Equal(24, result.Tokens.Length);
        Assert.NotEmpty(json.GetProperty("text").GetString()!);
        Assert.Equal(24, json.GetProperty("roundTrips").GetInt32());
        Assert.Equal(1, json.GetProperty("tokensPerRoundTrip").GetDouble());

        // The link's own time is a lower bound of everything measured over it.
        Assert.True(json.GetProperty("rttMs").GetDouble() >= 30);
        Assert.InRange(json.GetProperty("tokensPerSecond").GetDouble(), 1, 1000.0 / 30);
        Assert.True(json.GetProperty("timeToFirstTokenMs").GetDouble() >= 30);
        JsonElement timing = json.GetProperty("timingMs");
        Assert.Equal(["network", "head", "middle", "tail", "draft", "codec"], timing.EnumerateObject().Select(static part => part.Name));
        Assert.True(timing.GetProperty("network").GetDouble() >= 24 * 30);
        Assert.All((string[])["head", "middle", "tail"], part => Assert.True(timing.GetProperty(part).GetDouble() > 0));

        // 24 steps of one row of 384 floats each way, and frames around them.
        Assert.InRange(json.GetProperty("bytesUp").GetInt64(), 24 * 384 * 4, 24 * 384 * 4 * 2);
        Assert.InRange(json.GetProperty("bytesDown").GetInt64(), 24 * 384 * 4, 24 * 384 * 4 * 2);
    }

    [Fact]
    public async Task ASeedGivesTheSameTextSplitOrNotAndWithEveryDecoder()
    {
        string[] common = ["run", "--chat", "--prompt", "Tell me a story about a robot.", "--json", "--max-tokens", "48", "--temperature", "0.9", "--top-p", "0.9", "--seed", "11"];
        CliResult local = await Cli.RunAsync([.. common, "--local", "--decoder", "sequential"]);
        CliResult split = await Cli.RunAsync([.. common, "--decoder", "suffix", "--head", "3"]);
        CliResult other = await Cli.RunAsync([.. common[..^1], "12", "--local"]);
        Assert.Equal(local.Expect(0).Tokens, split.Expect(0).Tokens);
        Assert.NotEqual(local.Tokens, other.Expect(0).Tokens);
    }

    [Fact]
    public async Task ADrawnSeedIsReportedAndRepeatsTheText()
    {
        string[] common = ["run", "--local", "--prompt", "Once upon a time", "--json", "--max-tokens", "24", "--temperature", "1"];
        CliResult first = await Cli.RunAsync(common);
        CliResult again = await Cli.RunAsync([.. common, "--seed", first.Expect(0).Json.GetProperty("seed").GetUInt64().ToString()]);
        Assert.Equal(first.Tokens, again.Expect(0).Tokens);
    }

    [Fact]
    public async Task TheAnswerAloneGoesToStandardOutput()
    {
        CliResult result = await Cli.RunAsync("run", "--chat", "--prompt", "Name five musical instruments.", "--max-tokens", "40");
        result.Expect(0);
        Assert.StartsWith("1. ", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("<|end|>", result.Output, StringComparison.Ordinal);
        Assert.Contains("the operator of the worker can reconstruct this conversation", result.Error, StringComparison.Ordinal);
        Assert.Contains("tok/s", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerationStopsAtTheEndOfTheTurn()
    {
        CliResult result = await Cli.RunAsync("run", "--local", "--chat", "--prompt", "Name five musical instruments.", "--max-tokens", "200", "--json");
        Assert.Equal(3, result.Expect(0).Tokens[^1]);
        Assert.Equal(1, result.Tokens.Count(static id => id == 3));
    }

    [Theory]
    [InlineData("--prompt-file")]
    [InlineData("-")]
    public async Task APromptComesFromAFileOrStandardInput(string source)
    {
        const string Prompt = "Once upon a time";
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, Prompt);
            string[] prompt = source == "-" ? ["--prompt", "-"] : ["--prompt-file", file];
            CliResult given = await Cli.RunAsync([.. (string[])["run", "--local", "--json", "--max-tokens", "8"], .. prompt], input: Prompt);
            CliResult direct = await Cli.RunAsync("run", "--local", "--json", "--max-tokens", "8", "--prompt", Prompt);
            Assert.Equal(direct.Expect(0).Tokens, given.Expect(0).Tokens);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
