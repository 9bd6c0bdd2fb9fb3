using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Tests.Grpc;

/// <summary>
/// Connections of a link, against a bare socket. Where the host allows TCP Fast Open they show what it changes; elsewhere, that nothing does.
/// </summary>
public sealed class DialerTests : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private int _opened;
    private int _closed;

    public DialerTests()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        FastOpen.Accept(_listener, 16);
        _listener.Listen(16);
    }

    private int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public void Dispose() => _listener.Dispose();

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("localhost", true)]
    [InlineData("127.0.0.1", false)]
    public async Task Connections_after_the_first_bring_their_first_bytes_along(string host, bool fastOpen)
    {
        var dialer = new Dialer(new PairingLink(host, Port, new byte[32], PairingLink.NewToken()), fastOpen);

        // The first is made as ever, the second asks for a cookie where none is known, the third has one.
        for (int number = 1; number <= 4; number++)
        {
            bool cameWithSyn = await ExchangeAsync(dialer);
            if (number is 1 or >= 3)
            {
                Assert.Equal(number >= 3 && fastOpen && FastOpenHost.Serves, cameWithSyn);
            }
        }

        Assert.Equal((4, 4), (_opened, _closed));
    }

    [Fact]
    public async Task A_peer_that_is_gone_is_refused_at_the_latest_with_the_first_answer()
    {
        var dialer = new Dialer(new PairingLink("127.0.0.1", Port, new byte[32], PairingLink.NewToken()), fastOpen: true);
        _ = await ExchangeAsync(dialer);
        _ = await ExchangeAsync(dialer);
        _listener.Dispose();
        SocketException refused = await Assert.ThrowsAsync<SocketException>(async () =>
        {
            await using Stream stream = await DialAsync(dialer);
            await stream.WriteAsync(new byte[100], TestContext.Current.CancellationToken);
            await stream.ReadExactlyAsync(new byte[100], TestContext.Current.CancellationToken);
        });
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);

        // It never was a connection. And after one that came to nothing, the next is made as ever.
        Assert.Equal((2, 2), (_opened, _closed));
        refused = await Assert.ThrowsAsync<SocketException>(async () => await DialAsync(dialer));
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
    }

    [Fact]
    public async Task A_cookie_forgotten_between_connect_and_first_bytes_costs_them_nothing()
    {
        // What Linux says then: it connects as ever and has taken none of the bytes.
        using var socket = new ForgetfulStream();
        await using (var stream = new DialedStream(socket, deferred: true, _ => { }, () => _opened++, () => _closed++))
        {
            await stream.WriteAsync(new byte[] { 1, 2, 3 }, TestContext.Current.CancellationToken);
            await stream.WriteAsync(new byte[] { 4 }, TestContext.Current.CancellationToken);
            Assert.Equal(0, _opened);
        }

        Assert.Equal([1, 2, 3, 4], socket.ToArray());
        Assert.Equal((0, 0), (_opened, _closed));
    }

    private ValueTask<Stream> DialAsync(Dialer dialer) =>
        dialer.DialAsync(() => Interlocked.Increment(ref _opened), () => Interlocked.Increment(ref _closed), TestContext.Current.CancellationToken);

    /// <summary>A hundred bytes there and back; true when those there came with the SYN.</summary>
    private async Task<bool> ExchangeAsync(Dialer dialer)
    {
        await using Stream stream = await DialAsync(dialer);
        await stream.WriteAsync(Enumerable.Repeat((byte)7, 100).ToArray(), TestContext.Current.CancellationToken);
        using Socket accepted = await _listener.AcceptAsync(TestContext.Current.CancellationToken);
        await using var peer = new NetworkStream(accepted);
        byte[] received = new byte[100];
        await peer.ReadExactlyAsync(received, TestContext.Current.CancellationToken);
        await peer.WriteAsync(received, TestContext.Current.CancellationToken);
        byte[] answer = new byte[100];
        await stream.ReadExactlyAsync(answer, TestContext.Current.CancellationToken);
        Assert.All(answer, static value => Assert.Equal(7, value));
        return FastOpen.CameWithSyn(accepted);
    }

    private sealed class ForgetfulStream : MemoryStream
    {
        private bool _hasForgotten;

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!_hasForgotten)
            {
                _hasForgotten = true;
                throw new IOException("write", new SocketException((int)SocketError.InProgress));
            }

            await base.WriteAsync(buffer, cancellationToken);
        }
    }
}
