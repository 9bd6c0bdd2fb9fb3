using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary>How a run of the command line ended.</summary>
internal sealed record CliResult(int ExitCode, string Output, string Error)
{
    /// <summary>The one JSON object on standard output.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>The ids under "tokens".</summary>
    public int[] Tokens => [.. Json.GetProperty("tokens").EnumerateArray().Select(static id => id.GetInt32())];

    /// <summary>Fails unless it ended well.</summary>
    public CliResult Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode}, expected {exitCode}\n{Error}\n{Output}");
        return this;
    }
}
