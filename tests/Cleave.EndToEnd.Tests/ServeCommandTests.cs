using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave serve</c> as a service runs it: settings from everywhere, logs without content, an end that waits for answers.</summary>
public sealed partial class ServeCommandTests : IDisposable
{
    private const string Secret = "Zanzibar-4711";
    private readonly string _folder = Directory.CreateTempSubdirectory("cleave-serve-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task SettingsComeFromFileEnvironmentAndCommandLineTheLaterWinning()
    {
        string settings = Path.Combine(_folder, "cleave.json");
        await File.WriteAllTextAsync(settings, """
            {
              "Gateway": { "ModelName": "from-file", "Port": 1, "MaxConversations": 3, "Page": false },
              "Split": { "head": 1, "tail": 3 }
            }
            """, Cancellation);
        using Cli cli = Cli.Start(["serve", "--config", settings, "--port", "0"], new Dictionary<string, string?> { ["CLEAVE_GATEWAY__MODELNAME"] = "from-environment" });
        using HttpClient client = await ClientOf(cli);
        JsonElement models = await client.GetFromJsonAsync<JsonElement>("/v1/models", Cancellation);
        Assert.Equal("from-environment", models.GetProperty("data")[0].GetProperty("id").GetString());
        JsonElement status = await client.GetFromJsonAsync<JsonElement>("/cleave/status", Cancellation);
        Assert.Equal((1, 3), (status.GetProperty("head").GetInt32(), status.GetProperty("tail").GetInt32()));
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("/", Cancellation)).StatusCode);
        cli.Signal("TERM");
        (await cli.WaitAsync()).Expect(0);

        await File.WriteAllTextAsync(settings, """{ "Gateway": { "MaxConversations": 0, "Host": "0.0.0.0" }, "Split": { "head": 1 } }""", Cancellation);
        CliResult refused = await Cli.RunAsync("serve", "--config", settings);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("MaxConversations", refused.Error, StringComparison.Ordinal);
        Assert.Contains("API key", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnswersUnderWayEndBeforeItStopsAndLogsHoldNoContent()
    {
        using Cli cli = Cli.Start(["serve", "--port", "0", "--log", "json", "--wan", "40ms", "--decoder", "sequential"], new Dictionary<string, string?> { ["CLEAVE_LOGGING__LOGLEVEL__DEFAULT"] = "Trace" });
        using HttpClient client = await ClientOf(cli);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(
                $$"""{"model":"cleave-demo-24m.q8_0","stream":true,"max_tokens":60,"temperature":0,"logit_bias":{"3":-100},"messages":[{"role":"user","content":"Tell me a story about {{Secret}}."}]}""",
                Encoding.UTF8,
                "application/json"),
        };
        using HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));
        Assert.StartsWith("data: ", await reader.ReadLineAsync(Cancellation), StringComparison.Ordinal);
        cli.Signal("TERM");
        string rest = await reader.ReadToEndAsync(Cancellation);
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
        Assert.Contains("\"finish_reason\":\"length\"", rest, StringComparison.Ordinal);
        CliResult result = (await cli.WaitAsync()).Expect(0);

        string[] events = [.. result.Error.Split('\n').Where(static line => line.StartsWith("{\"", StringComparison.Ordinal))];
        Assert.NotEmpty(events);
        Assert.All(events, static line => Assert.True(JsonDocument.Parse(line).RootElement.TryGetProperty("LogLevel", out _)));
        Assert.DoesNotContain(Secret, result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("story", result.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _cleave cleave")]
    [InlineData("zsh", "compdef _cleave cleave")]
    [InlineData("fish", "complete -c cleave")]
    public async Task ShellsCompleteCommandsAndOptions(string shell, string line)
    {
        Assert.Contains(line, (await Cli.RunAsync("completion", shell)).Expect(0).Output, StringComparison.Ordinal);
        Assert.Contains("serve", (await Cli.RunAsync("[suggest:9]", "cleave se")).Expect(0).Output.Split('\n', StringSplitOptions.TrimEntries));
        Assert.Contains("--worker-file", (await Cli.RunAsync("[suggest:18]", "cleave serve --wor")).Expect(0).Output.Split('\n', StringSplitOptions.TrimEntries));
    }

    private static async Task<HttpClient> ClientOf(Cli cli)
    {
        await cli.WaitForAsync("http://127.0.0.1:");
        await cli.WaitForAsync("privacy: ");
        return new HttpClient { BaseAddress = new Uri(Address().Match(cli.Output).Value) };
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
