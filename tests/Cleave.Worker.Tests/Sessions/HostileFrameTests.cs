using System.Threading.Channels;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

/// <summary>Frames from someone who holds a token and means harm, in random order and randomly damaged.</summary>
public sealed class HostileFrameTests
{
    [Fact]
    public async Task Nothing_a_tenant_sends_reaches_the_worker_or_another_tenant()
    {
        await using var worker = new TestWorker(kvTokens: 1024);
        await using TestClient bob = await TestClient.OpenAsync(worker.Link("bob"));
        var sent = new List<float[]>();
        for (int round = 0; round < 60; round++)
        {
            await AttackAsync(worker, new Random(round));
            ulong id = (ulong)round + 1;
            sent.Add(await bob.RunAsync(Steps.Make(worker.Width, id, [(id, id - 1)], keep: id == 1 ? [] : [id - 1], ack: id - 1)));
        }

        ulong[] path = [.. Enumerable.Range(1, 60).Select(i => (ulong)i)];
        Assert.Equal(Steps.Alone(worker.Model, path), sent[^1]);

        // Nothing of the attacker's sessions stays but what may be resumed.
        Assert.InRange(worker.Endpoint.Sessions, 1, 1 + 16);
        Assert.Equal(0, worker.Endpoint.Describe("bob").Load.QueuedRows);
    }

    private static async Task AttackAsync(TestWorker worker, Random random)
    {
        var frames = Channel.CreateUnbounded<byte[]>();
        int answers = 0;
        Task serving = worker.Endpoint.ServeAsync(
            "mallory",
            async token => await frames.Reader.WaitToReadAsync(token) && frames.Reader.TryRead(out byte[]? bytes) ? (ReadOnlyMemory<byte>?)bytes : null,
            (frame, cancellation) =>
            {
                // Whatever is answered is a whole frame.
                byte[] bytes = new byte[FrameCodec.Size(frame)];
                FrameCodec.Write(frame, bytes);
                Assert.True(FrameCodec.TryRead(bytes, out WorkerFrame? _, out WireError? _));
                Interlocked.Increment(ref answers);
                return ValueTask.CompletedTask;
            },
            TestContext.Current.CancellationToken);
        frames.Writer.TryWrite(Encode(TestClient.Open(maxKvTokens: random.Next(1, 512))));
        for (int i = 0; i < 40; i++)
        {
            byte[] bytes = Encode(RandomFrame(worker.Width, random));
            if (random.Next(8) == 0)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            }

            if (random.Next(20) == 0)
            {
                bytes = bytes[..random.Next(bytes.Length)];
            }

            frames.Writer.TryWrite(bytes);
        }

        frames.Writer.Complete();
        await serving.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.True(answers > 0);
    }

    private static ClientFrame RandomFrame(int width, Random random)
    {
        ulong seq = (ulong)random.Next(1, 12);
        ulong ack = (ulong)random.Next((int)seq);
        ulong first = (ulong)random.Next(1, 200);
        return random.Next(8) switch
        {
            0 => new TruncateFrame(seq, ack, random.Next(20)),
            1 => new ForkFrame(seq, ack),
            2 => new PingFrame(first),
            3 => Steps.Make(width, seq, Steps.Chain(first, first + (ulong)random.Next(20), first - 1), [first], ack),
            _ => Steps.Make(width, seq, Steps.Chain(first, first + (ulong)random.Next(8), (ulong)random.Next((int)first)), ack: ack),
        };
    }

    private static byte[] Encode(ClientFrame frame)
    {
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        return bytes;
    }
}
