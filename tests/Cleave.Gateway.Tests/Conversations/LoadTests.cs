using System.Diagnostics;
using System.Text.Json;
using Cleave.Gateway.Tests.Api;
using Cleave.Inference;

namespace Cleave.Gateway.Tests.Conversations;

/// <summary>Many requests at once: correct, fair, bounded, cancelled when their client goes.</summary>
[Collection<Alone>]
public sealed class LoadTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(40)]
    [InlineData(12)] // fewer sessions than requests: the others wait their turn
    public async Task Thirty_two_requests_at_once_are_correct_and_fair(int sessions)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: sessions);
        string Ask(int i) => $"\"temperature\":0.8,\"seed\":{i % 8},\"max_tokens\":32,\"logit_bias\":{{\"3\":-100}}";
        static string Question(int i) => $"Tell me a story about number {i % 8}.";
        var alone = new string[8];
        for (int i = 0; i < 8; i++)
        {
            alone[i] = Call.Text(await Call.OkAsync(gateway.Client, Call.Chat(Question(i), Ask(i))));
        }

        long started = Stopwatch.GetTimestamp();
        (string Text, double Ms)[] together = await Task.WhenAll(Enumerable.Range(0, 32).Select(async i =>
        {
            string text = Call.Text(await Call.OkAsync(gateway.Client, Call.Chat(Question(i), Ask(i))));
            return (text, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }));
        Assert.All(Enumerable.Range(0, 32), i => Assert.Equal(alone[i % 8], together[i].Text));
        double ratio = together.Max(one => one.Ms) / together.Min(one => one.Ms);
        TestContext.Current.TestOutputHelper!.WriteLine($"{sessions} sessions: completion {together.Min(one => one.Ms):F0} to {together.Max(one => one.Ms):F0} ms, ratio {ratio:F2}");
        if (sessions >= 32)
        {
            Assert.True(ratio < 3, $"completion times differ {ratio:F2} times");
        }

        Assert.True(gateway.Served.Pool.Counts.Open <= sessions);
        Assert.Equal(0, gateway.Served.Pool.Counts.Waiting);
    }

    [Fact]
    public async Task Memory_and_sessions_do_not_grow()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: 6);
        async Task RoundAsync(int from, int count) => await Parallel.ForAsync(from, from + count, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancellation }, async (i, _) =>
        {
            string more = (i % 4) switch
            {
                0 => "\"max_tokens\":3,\"response_format\":{\"type\":\"json_object\"}",
                1 => "\"max_tokens\":3,\"stream\":true,\"logprobs\":true,\"top_logprobs\":2",
                2 => "\"max_tokens\":0",
                _ => "\"max_tokens\":3,\"stop\":[\"e\"]",
            };
            using HttpResponseMessage response = await gateway.Client.SendAsync(Call.Chat($"Request {i}", more), Cancellation);
            await response.Content.ReadAsStringAsync(Cancellation);
        });
        static long Live()
        {
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            return GC.GetTotalMemory(forceFullCollection: true);
        }

        await RoundAsync(0, 140);
        long before = Live();
        await RoundAsync(140, 500);
        long after = Live();
        TestContext.Current.TestOutputHelper!.WriteLine($"live memory {before:N0} bytes after 140 requests, {after:N0} after 640");
        Assert.True(after - before < 4_000_000, $"memory grew by {after - before:N0} bytes over 500 requests");
        Assert.True(gateway.Served.Pool.Counts.Open <= 6);
        Assert.Equal(gateway.Served.Pool.Counts.Open, gateway.Worker!.Sessions);
    }

    [Fact]
    public async Task A_client_that_leaves_stops_the_work_on_the_worker_too()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: 4);
        await gateway.Served.Pool.WarmAsync(Cancellation);

        // While the answer is written: the session is kept, and no further row is computed.
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation))
        {
            using HttpResponseMessage response = await gateway.Client.SendAsync(
                Call.Chat("Tell me a very long story.", "\"stream\":true,\"max_tokens\":1800,\"temperature\":1,\"logit_bias\":{\"3\":-100}"), HttpCompletionOption.ResponseHeadersRead, stop.Token);
            using Stream body = await response.Content.ReadAsStreamAsync(stop.Token);
            Assert.True(await body.ReadAsync(new byte[512], stop.Token) > 0);
        }

        await Eventually(() => gateway.Served.Pool.Counts is var counts && counts.Open == counts.Idle);
        int used = gateway.Worker!.KvTokensUsed;
        await Task.Delay(300, Cancellation);
        Assert.True(gateway.Worker.KvTokensUsed <= used, "rows are still computed");
        Assert.True(used < 1800, $"{used} rows were computed for an answer nobody reads");

        // While the prompt is read: the session is closed, and the worker drops what it has queued.
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation))
        {
            Task<HttpResponseMessage> asking = gateway.Client.SendAsync(Call.Chat(string.Concat(Enumerable.Repeat("one and two ", 600)), "\"max_tokens\":5"), stop.Token);
            await Eventually(() => gateway.Served.Pool.Counts is var counts && counts.Open > counts.Idle);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        }

        await Eventually(() => gateway.Served.Pool.Counts is var counts && counts.Open == counts.Idle && gateway.Worker.Sessions == counts.Open);
        await Eventually(() => gateway.Worker.KvTokensUsed <= used + 64); // the rows of the abandoned prompt are freed

        // Waiting in the queue: leaving gives the place up.
        JsonElement next = await Call.OkAsync(gateway.Client, Call.Chat("Say hello.", "\"max_tokens\":4"));
        Assert.NotEqual("", Call.Text(next));
    }

    [Fact]
    public async Task A_full_queue_is_answered_429_and_a_place_in_it_can_be_given_up()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(new Cut(2, 2), new() { ["MaxWaitingRequests"] = "1" }, sessions: 1);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);

        // Seconds of work, whatever is guessed: hot samples are hard to guess, and the end of the turn is forbidden.
        const string forever = "\"max_tokens\":1900,\"temperature\":1.5,\"seed\":1,\"logit_bias\":{\"3\":-100}";
        Task<HttpResponseMessage> running = gateway.Client.SendAsync(Call.Chat("Go on.", forever), stop.Token);
        await Eventually(() => gateway.Served.Pool.Counts is { Open: 1, Idle: 0 });
        Task<HttpResponseMessage> waiting = gateway.Client.SendAsync(Call.Chat("Go on.", forever), leave.Token);
        await Eventually(() => gateway.Served.Pool.Counts.Waiting == 1);
        using HttpResponseMessage refused = await gateway.Client.SendAsync(Call.Chat("Go on.", "\"max_tokens\":1"), Cancellation);
        Assert.Equal(429, (int)refused.StatusCode);
        Assert.True(refused.Headers.RetryAfter is not null);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Eventually(() => gateway.Served.Pool.Counts.Waiting == 0);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        await Call.OkAsync(gateway.Client, Call.Chat("Say hello.", "\"max_tokens\":2"));
    }

    private static async Task Eventually(Func<bool> condition)
    {
        for (int i = 0; i < 2000 && !condition(); i++)
        {
            await Task.Delay(10, Cancellation);
        }

        Assert.True(condition());
    }
}
