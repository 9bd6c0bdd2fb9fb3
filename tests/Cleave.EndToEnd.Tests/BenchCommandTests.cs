using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave bench</c> with a model, a draft model and a context of one's own.</summary>
public sealed class BenchCommandTests
{
    private static readonly string s_draft = Path.Combine(Path.GetDirectoryName(Cli.Model)!, "cleave-demo-draft-4m.q8_0.gguf");
    private static readonly string[] s_small = ["bench", "--rtt", "10", "--per-kind", "1", "-n", "6", "--head", "1", "--tail", "1", "--json"];

    [Fact]
    public async Task ADraftModelGivenGuessesAheadForAModelThatHasNone()
    {
        // Under another name the bundled model has no draft of its own.
        string folder = Directory.CreateTempSubdirectory("cleave-bench-").FullName;
        string model = Path.Combine(folder, "mine.gguf");
        File.CreateSymbolicLink(model, Cli.Model);
        string[] arguments = [.. s_small, "--model", model, "--decoders", "draft"];
        CliResult without = await Cli.RunAsync(arguments);
        CliResult with = await Cli.RunAsync([.. arguments, "--draft", s_draft]);
        Directory.Delete(folder, recursive: true);
        Assert.Contains("--draft FILE", without.Expect(1).Error, StringComparison.Ordinal);
        JsonElement[] runs = [.. with.Expect(0).Json.GetProperty("runs").EnumerateArray().Where(static run => run.GetProperty("decoder").GetString() == "draft")];
        Assert.All(runs, static run => Assert.True(run.GetProperty("identical").GetBoolean()));
        Assert.True(runs.Average(static run => run.GetProperty("tokensPerRoundTrip").GetDouble()) > 1.2);
    }

    [Fact]
    public async Task TheContextGivenBoundsEveryConversation()
    {
        // Draft rows live beside the context, so a prompt has to be longer than both.
        string prompts = Path.GetTempFileName();
        string text = string.Concat(Enumerable.Repeat("a b c d e f g h ", 40));
        await File.WriteAllTextAsync(prompts, JsonSerializer.Serialize(new[] { "code", "structured", "creative", "conversational", "repeat" }.Select(kind => new { kind, text, chat = false })));
        CliResult result = (await Cli.RunAsync([.. s_small, "--decoders", "ngram", "--context", "16", "--prompts", prompts])).Expect(1);
        File.Delete(prompts);
        Assert.Contains("error: the prompt has ", result.Error, StringComparison.Ordinal);
        Assert.Contains("this session holds 144", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheQuickIdentityTestComparesTokensAndLogits()
    {
        CliResult result = (await Cli.RunAsync([.. s_small, "--suite", "identity-quick", "--decoders", "ngram,auto"])).Expect(0);
        JsonElement[] compared = [.. result.Json.GetProperty("identity").EnumerateArray()];

        // Two decoders, three samplings, and no bad link; each prompt whole and three times cut off.
        Assert.Equal(6, compared.Length);
        Assert.All(compared, static row => Assert.Equal((20, 0), (row.GetProperty("prompts").GetInt32(), row.GetProperty("different").GetInt32())));
    }

    [Fact]
    public async Task SessionsAtOnceSayWhatEachSaysAlone()
    {
        CliResult result = (await Cli.RunAsync([.. s_small, "--suite", "sessions", "--sessions", "5", "--repeats", "1", "--decoders", "ngram"])).Expect(0);
        JsonElement[] rows = [.. result.Json.GetProperty("sessions").EnumerateArray()];
        Assert.Equal(["sequential", "ngram"], rows.Select(static row => row.GetProperty("decoder").GetString()));
        Assert.All(rows, static row => Assert.Equal((5, 6, 0), (row.GetProperty("sessions").GetInt32(), row.GetProperty("tokensPerSession").GetInt32(), row.GetProperty("different").GetInt32())));
        Assert.All(rows, static row => Assert.True(row.GetProperty("tokensPerSecond").GetDouble() > 0));
    }

    [Theory]
    [InlineData("bench", "--tokens")]
    [InlineData("bench", "--per-kind")]
    [InlineData("bench", "--repeats")]
    [InlineData("bench", "--sessions")]
    [InlineData("run -p hello", "--context")]
    public async Task CountsThatAreNoneAreNamed(string command, string option)
    {
        CliResult none = await Cli.RunAsync([.. command.Split(' '), option, "many"]);
        CliResult less = await Cli.RunAsync([.. command.Split(' '), option, "0"]);
        Assert.Contains($"error: {option} needs a whole number, not 'many'", none.Error, StringComparison.Ordinal);
        Assert.Contains($"error: {option} is at least ", less.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", none.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReportsMeasuredApartAreJoinedAndFittedTogether()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("cleave-join-");
        string In(string name) => Path.Combine(folder.FullName, name);
        string[] measure = ["bench", "--suite", "rtt", "--per-kind", "1", "-n", "4", "--decoders", "ngram", "--json"];
        await File.WriteAllTextAsync(In("near.json"), (await Cli.RunAsync([.. measure, "--rtt", "4,8"])).Expect(0).Output);
        await File.WriteAllTextAsync(In("far.json"), (await Cli.RunAsync([.. measure, "--rtt", "16,32"])).Expect(0).Output);
        await File.WriteAllTextAsync(In("other.json"), (await Cli.RunAsync([.. measure, "--rtt", "16", "--wire", "f16"])).Expect(0).Output);
        await File.WriteAllTextAsync(In("none.json"), "{}");

        JsonElement joined = (await Cli.RunAsync(["bench", "--json", "--join", In("near.json"), In("far.json")])).Expect(0).Json;
        CliResult mixed = (await Cli.RunAsync(["bench", "--join", In("near.json"), In("other.json")])).Expect(1);
        CliResult none = (await Cli.RunAsync(["bench", "--join", In("none.json")])).Expect(1);
        CliResult twice = (await Cli.RunAsync(["bench", "--join", In("near.json"), In("near.json")])).Expect(1);
        CliResult measured = (await Cli.RunAsync(["bench", "--join", In("near.json"), "--rtt", "20"])).Expect(1);
        folder.Delete(recursive: true);

        // Neither part has the four round-trip times that a fit needs; together they do.
        Assert.Equal(8, joined.GetProperty("runs").GetArrayLength());
        Assert.Equal(["sequential", "ngram"], joined.GetProperty("rttModel").EnumerateArray().Select(static fit => fit.GetProperty("decoder").GetString()));
        Assert.Contains("other.json was measured with the wire type F16", mixed.Error, StringComparison.Ordinal);
        Assert.Contains("none.json is no report", none.Error, StringComparison.Ordinal);
        Assert.Contains("near.json is given twice", twice.Error, StringComparison.Ordinal);
        Assert.Contains("--rtt has no meaning beside it", measured.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ANumberThatIsNoneIsSaidInWords() =>
        Assert.Contains("--top-p needs a number, not 'most'", (await Cli.RunAsync(["bench", "--top-p", "most"])).Expect(2).Error, StringComparison.Ordinal);
}
