using System.Threading.Channels;
using Cleave.Protocol.Migration;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Tests.Migration;

/// <summary>Two ends of a connection whose transport breaks again and again, at any byte of either way.</summary>
public sealed class MigratingStreamTests
{
    // All of it: what may be under way is bounded by nothing here.
    private const int Kept = 8 << 20;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task What_is_written_is_read_whatever_breaks(int seed)
    {
        var random = new Random(seed);
        byte[] up = new byte[4_000_000];
        byte[] down = new byte[4_000_000];
        random.NextBytes(up);
        random.NextBytes(down);
        var lost = Channel.CreateUnbounded<Stream>();
        (Stream near, Stream far) = Wire.Create(random.Next(1, 20_000), random.Next(1, 20_000));
        await using var client = new MigratingStream(near, _ => true, gone => lost.Writer.TryWrite(gone));
        await using var worker = new MigratingStream(far, _ => true, static _ => { }) { NeverRefusesWrites = seed % 2 == 0 };
        client.Keep(Kept);
        worker.Keep(Kept);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        over.CancelAfter(TimeSpan.FromSeconds(60));
        Task done = Task.WhenAll(WriteAsync(client, up, random.Next(), over.Token), ClientReadsAsync(), WorkerAsync(random.Next()));
        int moves = 0;
        while (await Task.WhenAny(done, lost.Reader.WaitToReadAsync(over.Token).AsTask()) != done)
        {
            Assert.True(lost.Reader.TryRead(out Stream? gone));
            await gone.DisposeAsync();
            await MoveAsync(client, worker, random, over.Token);
            moves++;
        }

        await done;
        Assert.InRange(moves, 10, 10_000);

        // The client reads until the worker has all, since who does not read notices no loss.
        async Task ClientReadsAsync()
        {
            await ReadAsync(client, down, over.Token);
            await client.ReadExactlyAsync(new byte[1], over.Token);
        }

        async Task WorkerAsync(int chunks)
        {
            await Task.WhenAll(WriteAsync(worker, down, chunks, over.Token), ReadAsync(worker, up, over.Token));
            await worker.WriteAsync(new byte[1], over.Token);
        }
    }

    [Fact]
    public async Task Fixed_it_ends_with_its_transport()
    {
        (Stream near, Stream far) = Wire.Create(int.MaxValue, int.MaxValue);
        await using var stream = new MigratingStream(near, _ => true, static _ => { });
        stream.Keep(Kept);
        await stream.WriteAsync(new byte[10], TestContext.Current.CancellationToken);
        stream.Fix();
        Assert.False(stream.IsMovable);
        Assert.False(stream.Leave());
        await far.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(async () => await stream.ReadExactlyAsync(new byte[1], TestContext.Current.CancellationToken));
        Assert.False(await stream.SwitchAsync(Stream.Null, static _ => throw new InvalidOperationException("not asked"), static (_, _) => default, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Fixed_while_it_waits_for_another_transport_it_is_lost()
    {
        (Stream near, Stream far) = Wire.Create(int.MaxValue, int.MaxValue);
        var lost = new TaskCompletionSource();
        await using var stream = new MigratingStream(near, _ => true, _ => lost.TrySetResult());
        stream.Keep(Kept);
        Task<int> reading = stream.ReadAsync(new byte[10], TestContext.Current.CancellationToken).AsTask();
        await far.DisposeAsync();
        await lost.Task;
        Assert.False(reading.IsCompleted);
        stream.Fix();
        await Assert.ThrowsAsync<IOException>(() => reading);
    }

    [Fact]
    public async Task Where_writes_are_never_refused_they_are_kept_for_the_next_transport_and_dropped_after_the_end()
    {
        (Stream near, _) = Wire.Create(int.MaxValue, int.MaxValue);
        await using var stream = new MigratingStream(near, _ => true, static _ => { }) { NeverRefusesWrites = true };
        stream.Keep(Kept);
        Assert.True(stream.Leave());
        await stream.WriteAsync(new byte[] { 1, 2, 3 }, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        (Stream next, Stream far) = Wire.Create(int.MaxValue, int.MaxValue);
        Assert.True(await stream.SwitchAsync(next, static _ => new MigrationGreeting(new byte[] { 9 }, 0), static (_, _) => default, TestContext.Current.CancellationToken));
        byte[] came = new byte[4];
        await far.ReadExactlyAsync(came, TestContext.Current.CancellationToken);
        Assert.Equal([9, 1, 2, 3], came);

        Assert.True(stream.Leave());
        Task<int> reading = stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken).AsTask();
        stream.End(new IOException("kept long enough"));
        await stream.WriteAsync(new byte[10], TestContext.Current.CancellationToken);
        Assert.Equal(3, stream.Sent);
        await Assert.ThrowsAsync<IOException>(() => reading);
    }

    [Fact]
    public async Task Nothing_kept_or_not_wanted_a_loss_is_passed_on_as_it_was()
    {
        foreach (bool keeps in new[] { false, true })
        {
            (Stream near, Stream far) = Wire.Create(int.MaxValue, int.MaxValue);
            await using var stream = new MigratingStream(near, _ => !keeps, static _ => { });
            if (keeps)
            {
                stream.Keep(Kept);
            }

            await far.DisposeAsync();
            IOException broken = await Assert.ThrowsAsync<IOException>(async () => await stream.ReadExactlyAsync(new byte[1], TestContext.Current.CancellationToken));
            Assert.Equal("broken", broken.Message);
        }
    }

    /// <summary>As the two sides do: the client's greeting and what follows, and the worker's. It may be lost again before it is done.</summary>
    private static async Task MoveAsync(MigratingStream client, MigratingStream worker, Random random, CancellationToken cancellationToken)
    {
        (Stream near, Stream far) = Wire.Create(random.Next(1, 300_000), random.Next(1, 300_000));
        long arrived = 0;
        Assert.True(worker.Leave());
        Assert.False(await worker.SwitchAsync(
            Stream.Null,
            state =>
            {
                arrived = state.Received;
                return null;
            },
            static (_, _) => default, cancellationToken));

        // Some that have arrived are sent again: nobody knows exactly.
        long from = Math.Max(0, arrived - random.Next(0, 3000));
        long received = 0;
        Assert.True(await client.SwitchAsync(
            near,
            state =>
            {
                Assert.InRange(from, state.KeptFrom, state.Sent);
                received = state.Received;
                return new MigrationGreeting(new byte[16], from);
            },
            async (stream, token) => await stream.ReadExactlyAsync(new byte[3], token),
            cancellationToken));
        try
        {
            await far.ReadExactlyAsync(new byte[16], cancellationToken);
            Assert.True(await worker.SwitchAsync(
                far,
                state =>
                {
                    Assert.Equal(arrived, state.Received);
                    Assert.InRange(received, state.KeptFrom, state.Sent);
                    return new MigrationGreeting(new byte[3], received);
                },
                async (stream, token) => await stream.ReadExactlyAsync(new byte[arrived - from], token),
                cancellationToken));
        }
        catch (IOException)
        {
            // Broken meanwhile: the client notices, and there is another move.
        }
    }

    private static async Task WriteAsync(MigratingStream stream, byte[] bytes, int seed, CancellationToken cancellationToken)
    {
        var random = new Random(seed);
        for (int sent = 0; sent < bytes.Length;)
        {
            int count = Math.Min(random.Next(1, 3000), bytes.Length - sent);
            await stream.WriteAsync(bytes.AsMemory(sent, count), cancellationToken);
            sent += count;
            await Task.Yield();
        }
    }

    private static async Task ReadAsync(MigratingStream stream, byte[] expected, CancellationToken cancellationToken)
    {
        byte[] read = new byte[expected.Length];
        await stream.ReadExactlyAsync(read, cancellationToken);
        Assert.True(read.AsSpan().SequenceEqual(expected), "the bytes are others");
    }

    /// <summary>One end of a transport that takes a first write whole and then a number of bytes; then both ends break, and what was under way is lost.</summary>
    private sealed class Wire(Channel<byte[]> incoming, Channel<byte[]> outgoing, int capacity) : DuplexStream
    {
        private int _left = -1;
        private byte[] _rest = [];

        public static (Stream Near, Stream Far) Create(int up, int down)
        {
            var one = Channel.CreateBounded<byte[]>(8);
            var other = Channel.CreateBounded<byte[]>(8);
            return (new Wire(one, other, up), new Wire(other, one, down));
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_rest.Length == 0)
            {
                try
                {
                    _rest = await incoming.Reader.ReadAsync(cancellationToken);
                }
                catch (ChannelClosedException)
                {
                    throw new IOException("broken");
                }
            }

            int count = Math.Min(buffer.Length, _rest.Length);
            _rest.AsSpan(0, count).CopyTo(buffer.Span);
            _rest = _rest[count..];
            return count;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            bool isFirst = _left < 0;
            int count = isFirst ? buffer.Length : Math.Min(buffer.Length, _left);
            _left = isFirst ? capacity : _left - count;
            try
            {
                await outgoing.Writer.WriteAsync(buffer[..count].ToArray(), cancellationToken);
            }
            catch (ChannelClosedException)
            {
                throw new IOException("broken");
            }

            if (_left == 0)
            {
                Break();
            }
        }

        protected override void Dispose(bool disposing)
        {
            Break();
            base.Dispose(disposing);
        }

        private void Break()
        {
            _ = outgoing.Writer.TryComplete();
            _ = incoming.Writer.TryComplete();
        }
    }
}
