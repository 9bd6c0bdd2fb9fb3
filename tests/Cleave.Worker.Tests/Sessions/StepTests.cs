using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

public sealed class StepTests
{
    [Fact]
    public async Task A_tree_gives_each_row_what_its_path_gives_alone()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        Assert.Equal(0ul, client.Opened.ResumedSeq);
        int w = worker.Width;

        //      1 - 2 - 3
        //        \ 4 - 5
        float[] first = await client.RunAsync(Steps.Make(w, 1, [(1, 0), (2, 1), (3, 2), (4, 1), (5, 4)]));
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3]), first[(2 * w)..(3 * w)]);
        Assert.Equal(Steps.Alone(worker.Model, [1, 4, 5]), first[(4 * w)..]);

        // Keeping 1, 4 kills 2 and 3; 5 lives on. A row under a dead one is dropped, and its child with it.
        await client.SendAsync(Steps.Make(w, 2, [(6, 5), (7, 3), (8, 7), (9, 4)], keep: [1, 4], ack: 1, epoch: 9));
        RowsFrame second = await client.RowsAsync();
        Assert.Equal(9u, second.Epoch);
        Assert.Equal([6ul, 9ul], second.RowIds.ToArray());
        Assert.Equal([0b0110], second.Dropped.ToArray());
        float[] rows = client.Decode(second);
        Assert.Equal(Steps.Alone(worker.Model, [1, 4, 5, 6]), rows[..w]);
        Assert.Equal(Steps.Alone(worker.Model, [1, 4, 9]), rows[w..]);
    }

    [Fact]
    public async Task Only_returned_rows_come_back()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        StepFrame step = Steps.Make(worker.Width, 1, Steps.Chain(1, 4, 0));
        StepRow[] rows = [.. step.Rows.ToArray().Select(r => r with { Flags = r.Id == 3 ? RowFlags.Return : RowFlags.None })];
        await client.SendAsync(step with { Rows = rows });
        RowsFrame reply = await client.RowsAsync();
        Assert.Equal([3ul], reply.RowIds.ToArray());
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3]), client.Decode(reply));

        // A step without rows carries a keep alone.
        await client.SendAsync(Steps.Make(worker.Width, 2, [], keep: [1, 2, 3, 4], ack: 1));
        Assert.Equal(0, (await client.RowsAsync()).RowIds.Length);
    }

    [Theory]
    [InlineData(WireType.F16)]
    [InlineData(WireType.BF16)]
    [InlineData(WireType.Q8)]
    public async Task Every_wire_type_is_served(WireType type)
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link(), wireType: type);
        float[] rows = await client.RunAsync(Steps.Make(worker.Width, 1, Steps.Chain(1, 3, 0), type: type));
        float[] exact = Steps.Alone(worker.Model, [1, 2, 3]);
        double error = rows[(2 * worker.Width)..].Zip(exact, (a, b) => Math.Abs((double)a - b)).Max() / exact.Max(Math.Abs);
        Assert.InRange(error, 1e-7, 0.05);
    }

    [Fact]
    public async Task Frames_in_flight_of_many_sessions_give_what_each_gives_alone()
    {
        const int Sessions = 6;
        const int Length = 40;
        await using var worker = new TestWorker();
        var clients = new List<TestClient>();
        for (int i = 0; i < Sessions; i++)
        {
            clients.Add(await TestClient.OpenAsync(worker.Link("tenant" + (i % 3))));
        }

        // Every session pipelines steps of different sizes; the loop merges what it finds.
        await Task.WhenAll(clients.Select((client, seed) => Task.Run(async () =>
        {
            var random = new Random(seed);
            ulong next = 1;
            ulong seq = 0;
            ulong[] keep = [];
            var sent = new Queue<ulong>();
            ulong received = 0;
            while (next <= Length)
            {
                ulong last = Math.Min(Length, next + (ulong)random.Next(1, 9) - 1);
                await client.SendAsync(Steps.Make(worker.Width, ++seq, Steps.Chain(next, last, next - 1), keep, received, seed));
                keep = [.. Enumerable.Range((int)next, (int)(last - next + 1)).Select(i => (ulong)i)];
                sent.Enqueue(last);
                next = last + 1;
                if (sent.Count > 3)
                {
                    received = await CheckAsync();
                }
            }

            while (sent.Count > 0)
            {
                received = await CheckAsync();
            }

            async Task<ulong> CheckAsync()
            {
                RowsFrame reply = await client.RowsAsync();
                ulong at = sent.Dequeue();
                Assert.Equal(at, reply.RowIds.Span[^1]);
                float[] rows = client.Decode(reply);
                if (at % 8 == 0 || at == Length)
                {
                    Assert.Equal(Steps.Alone(worker.Model, [.. Enumerable.Range(1, (int)at).Select(i => (ulong)i)], seed), rows[^worker.Width..]);
                }

                return reply.Seq;
            }
        })));
        foreach (TestClient client in clients)
        {
            await client.SendAsync(new CloseFrame());
            Assert.Null(await client.ReceiveAsync());
            await client.DisposeAsync();
        }

        await Eventually.Holds(() => worker.Endpoint.KvTokensUsed == 0 && worker.Endpoint.Sessions == 0);
    }

    [Fact]
    public async Task Truncate_forgets_and_fork_shares()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        int w = worker.Width;
        await client.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 6, 0)));
        await client.RunAsync(Steps.Make(w, 2, [], keep: [1, 2, 3, 4], ack: 1));
        await client.SendAsync(new TruncateFrame(3, 2, 3));
        RowsFrame truncated = await client.RowsAsync();
        Assert.Equal((3ul, 0, 0), (truncated.Seq, truncated.RowIds.Length, truncated.Payload.Length));
        Assert.Equal(3, worker.Endpoint.KvTokensUsed);

        await client.SendAsync(new ForkFrame(4, 3));
        OpenedFrame forked = Assert.IsType<OpenedFrame>(await client.ReceiveAsync());
        Assert.Equal(4ul, forked.AnswersSeq);
        Assert.NotEqual(client.Opened.SessionId.ToArray(), forked.SessionId.ToArray());
        Assert.Equal(2, worker.Endpoint.Sessions);

        // Each goes its own way over the shared prefix 1, 2, 3.
        await using TestClient copy = await TestClient.StartAsync(worker.Link(), TestClient.Open(resume: new ResumeTicket(forked.SessionId, forked.Secret, 0)));
        Assert.IsType<OpenedFrame>(await copy.ReceiveAsync());
        float[] original = await client.RunAsync(Steps.Make(w, 5, [(10, 3)], ack: 4));
        float[] other = await copy.RunAsync(Steps.Make(w, 1, [(20, 3)]));
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 10]), original);
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 20]), other);
        Assert.Equal(5, worker.Endpoint.KvTokensUsed);
        await client.SendAsync(new CloseFrame());
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 21]), await copy.RunAsync(Steps.Make(w, 2, [(21, 3)], ack: 1)));
    }

    [Fact]
    public async Task Pings_are_answered_also_while_steps_wait()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        await client.SendAsync(new PingFrame(77));
        Assert.Equal(new PongFrame(77), await client.ReceiveAsync());
    }

    [Fact]
    public async Task A_worker_that_stops_says_so()
    {
        var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        await worker.DisposeAsync();
        WireError error = await client.ErrorAsync();
        Assert.Equal((WireErrorCode.ShuttingDown, false), (error.Code, error.SessionSurvives));
        Assert.Null(await client.ReceiveAsync());
    }
}
