using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

/// <summary>No session is there that nobody may or can use: whatever it was made by ended while it was being made.</summary>
public sealed class UnownedSessionTests
{
    [Fact]
    public async Task A_fork_of_a_session_closed_meanwhile_is_closed_with_it()
    {
        var time = new WatchedTime();
        await using var worker = new TestWorker(time: time);
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        await client.RunAsync(Steps.Make(worker.Width, 1, Steps.Chain(1, 6, 0)));
        await client.RunAsync(Steps.Make(worker.Width, 2, [], keep: [1, 2, 3, 4], ack: 1));

        // The copy is there and not answered yet when its original's client leaves.
        bool left = false;
        time.Read = () =>
        {
            if (!left && worker.Endpoint.Sessions == 2)
            {
                left = true;
                client.SendAsync(new CloseFrame()).AsTask().GetAwaiter().GetResult();
                Assert.True(SpinWait.SpinUntil(() => worker.Endpoint.Sessions == 1, TimeSpan.FromSeconds(20)), "the original is closed");
            }
        };
        await client.SendAsync(new ForkFrame(3, 2));
        Assert.Null(await client.ReceiveAsync());
        Assert.True(left, "the fork was made");
        await Eventually.Holds(() => worker.Endpoint is { Sessions: 0, KvTokensUsed: 0 });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stream_let_in_by_a_token_that_became_void_opens_no_session(bool renewed)
    {
        var tenants = new TenantTable();
        tenants.Replace([Mallory("old")]);
        await using var worker = new TestWorker(tenants: tenants);
        var waiting = new TaskCompletionSource();
        var open = new TaskCompletionSource<ReadOnlyMemory<byte>?>();
        var answers = new List<WorkerFrame>();
        Task serving = worker.Endpoint.ServeAsync(
            "mallory",
            async cancellationToken =>
            {
                waiting.TrySetResult();
                return await open.Task.WaitAsync(cancellationToken);
            },
            (frame, _) =>
            {
                answers.Add(frame);
                return ValueTask.CompletedTask;
            },
            TestContext.Current.CancellationToken);
        await waiting.Task;
        tenants.Replace(renewed ? [Mallory("new")] : []);
        OpenFrame frame = TestClient.Open();
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        open.SetResult(bytes);
        await serving.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

        Assert.Equal(WireErrorCode.Unauthorized, Assert.IsType<ErrorFrame>(Assert.Single(answers)).Error.Code);
        Assert.Equal(0, worker.Endpoint.Sessions);

        // Whoever shows the new token is another matter.
        if (renewed)
        {
            await using TestClient next = await TestClient.OpenAsync(worker.Link("mallory"));
        }
    }

    private static Tenant Mallory(string token) => new("mallory", TenantTable.HashToken(token), new TenantQuota(), DateTimeOffset.UnixEpoch);
}
