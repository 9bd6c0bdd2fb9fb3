using System.Net;
using System.Text.Json;
using Cleave.Gateway.Tests.Api;
using Cleave.Protocol.Wan;

namespace Cleave.Gateway.Tests.Conversations;

/// <summary>What a kept conversation costs when its answer is asked for again, edited, or continued: the rows that are new, and one round trip.</summary>
[Collection<Alone>]
public sealed class RepeatedPromptTests
{
    private const double RttMs = 150;

    [Fact]
    public async Task The_first_token_takes_one_round_trip_whatever_is_kept()
    {
        await using WorkerProcess worker = await WorkerProcess.StartAsync();
        await using WanEmulator wan = WanEmulator.Start(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Link.Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(RttMs) });
        await using TestGateway gateway = await TestGateway.StartAsync(worker.Link.At("127.0.0.1", wan.ListenEndPoint.Port), TimeSpan.FromSeconds(60));

        (string Text, int Reused, double Trips) first = await AskAsync(gateway, "Describe a quiet village in winter, its houses, its people, its animals and its old tree.");
        Assert.Equal(0, first.Reused);
        var again = new List<double>();
        for (int i = 0; i < 4; i++)
        {
            (string text, int reused, double trips) = await AskAsync(gateway, "Describe a quiet village in winter, its houses, its people, its animals and its old tree.");
            Assert.Equal(first.Text, text);
            Assert.True(reused > 0);
            again.Add(trips);
        }

        // Taking back the answer before needs no answer of its own; a round trip more each was 2 and 3. The quickest of several: the machine may be busy.
        Assert.InRange(again.Min(), 1, 1.7);

        var edited = new List<double>();
        foreach (string word in new[] { "mill", "well", "road", "barn" })
        {
            (_, int reused, double trips) = await AskAsync(gateway, $"Describe a quiet village in winter, its houses, its people, its animals and its old {word}.");
            Assert.True(reused > 0);
            edited.Add(trips);
        }

        Assert.InRange(edited.Min(), 1, 1.9);
    }

    private static async Task<(string Text, int Reused, double Trips)> AskAsync(TestGateway gateway, string question)
    {
        JsonElement body = await Call.OkAsync(gateway.Client, Call.Chat(question, "\"temperature\":0,\"max_tokens\":6,\"cleave\":{\"stats\":true}"));
        JsonElement answer = body.GetProperty("cleave").GetProperty("answer");
        return (Call.Text(body), answer.GetProperty("reused_tokens").GetInt32(), answer.GetProperty("time_to_first_token_ms").GetDouble() / RttMs);
    }
}
