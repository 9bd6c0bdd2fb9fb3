using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Cleave.Cli.Privacy;
using Cleave.PrivacyLab.Capture;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave serve --keep-local</c>: requests over HTTP, and what someone between the gateway and its worker sees of them.</summary>
public sealed partial class KeepLocalServeTests
{
    // What keeps a connection alive, not what carries a row: one row is 1,536 bytes.
    private const long IdleBytes = 512;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ARequestThatMatchesARuleNeverReachesTheWorker()
    {
        using StandaloneWorker worker = await StandaloneWorker.StartAsync(Cli.Model, "2..10");
        await using TrafficTap tap = TrafficTap.Start(new IPEndPoint(IPAddress.Loopback, worker.Link.Port));
        string link = worker.Link.At(tap.ListenEndPoint.Address.ToString(), tap.ListenEndPoint.Port).ToSecretString();
        string file = Path.Combine(Path.GetDirectoryName(worker.LinkFile)!, "tapped.link");
        await File.WriteAllTextAsync(file, link, Cancellation);
        using Cli cli = Cli.Start(["serve", "--port", "0", "--no-page", "--worker-file", file, "--decoder", "suffix", "--keep-local", "email,iban,/(?i)project zebra/"]);
        await cli.WaitForAsync("http://127.0.0.1:");
        await cli.WaitForAsync("privacy: ");
        using var client = new HttpClient { BaseAddress = new Uri(Address().Match(cli.Output).Value) };

        // One that matches nothing is sent: the tap can tell.
        (string sent, TrafficTrace crossed) = await AskAsync(tap, client, "Where is the station?");
        Assert.NotEmpty(sent);
        Assert.True(crossed.BytesUp > 10 * 1536, $"{crossed.BytesUp} bytes");

        // What a sent request leaves to be done behind it (a session opened ahead, a connection in reserve) is none of what follows.
        await QuietAsync(tap);

        // Rules built in and the user's own, in any turn of the conversation.
        foreach (string[] turns in (string[][])
            [["Write to jane@example.org."], ["What of Project Zebra?"], ["My IBAN is DE89 3704 0044 0532 0130 00.", "I see.", "Where is the station?"]])
        {
            (string kept, TrafficTrace seen) = await AskAsync(tap, client, turns);
            Assert.NotEmpty(kept);
            Assert.True(seen.BytesUp < IdleBytes && seen.BytesDown < IdleBytes, $"\"{turns[0]}\": {seen.BytesUp} bytes up, {seen.BytesDown} down");
        }

        // The two kinds share no session, and the same layers answer the same.
        (string again, _) = await AskAsync(tap, client, "Where is the station?");
        Assert.Equal(sent, again);
        Assert.DoesNotContain("jane", cli.Output, StringComparison.OrdinalIgnoreCase);
        cli.Signal("TERM");
        CliResult result = (await cli.WaitAsync()).Expect(0);
        Assert.DoesNotContain("jane", result.Error, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task QuietAsync(TrafficTap tap)
    {
        int quiet = 0;
        for (int i = 0; quiet < 3; i++)
        {
            Assert.True(i < 120, "the link does not become quiet by itself");
            tap.Begin();
            await Task.Delay(500, Cancellation);
            TrafficTrace seen = tap.End();
            quiet = seen.BytesUp + seen.BytesDown < IdleBytes ? quiet + 1 : 0;
        }
    }

    private static async Task<(string Text, TrafficTrace Seen)> AskAsync(TrafficTap tap, HttpClient client, params string[] turns)
    {
        tap.Begin();
        var request = new
        {
            model = "cleave-demo-24m.q8_0",
            max_tokens = 8,
            temperature = 0,
            logit_bias = new Dictionary<string, int> { ["3"] = -100 },
            messages = turns.Select(static (text, i) => new { role = i % 2 == 0 ? "user" : "assistant", content = text }),
        };
        using HttpResponseMessage response = await client.PostAsJsonAsync("/v1/chat/completions", request, Cancellation);
        JsonElement answer = await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(Cancellation);
        return (answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!, tap.End());
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+")]
    private static partial Regex Address();
}
