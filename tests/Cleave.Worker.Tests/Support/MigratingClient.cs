using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Migration;
using Cleave.Protocol.Pairing;

namespace Cleave.Worker.Tests.Support;

/// <summary>A client with one connection, whose moves are made by hand, as they should be or not.</summary>
internal sealed class MigratingClient : IAsyncDisposable
{
    private readonly int _port;
    private readonly PairingLink _link;
    private readonly HttpClient _http;
    private Socket _socket = null!;
    private MigratingStream _stream = null!;

    private MigratingClient(ServedWorker served, PairingLink link, int? through)
    {
        _port = served.Server.Port;
        _link = link;
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                Connections++;
                _socket = await DialAsync(through ?? _port, cancellationToken);
                _stream = new MigratingStream(new NetworkStream(_socket, ownsSocket: true), _ => Key is not null, _ => { });
                _stream.Keep(64 << 10);
                return _stream;
            },
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null },
            EnableMultipleHttp2Connections = false,
        });
    }

    /// <summary>The right to move, once the worker gave it.</summary>
    public MigrationKey? Key { get; private set; }

    /// <summary>Number of its last move.</summary>
    public ulong Number { get; set; }

    /// <summary>TLS connections made.</summary>
    public int Connections { get; private set; }

    /// <summary>Bytes it has sent.</summary>
    public long Sent => _stream.Sent;

    /// <summary>One that has shown its token, and asked for the right to move or not.</summary>
    public static async Task<MigratingClient> ConnectAsync(ServedWorker served, PairingLink? link = null, bool asks = true, int? through = null)
    {
        var client = new MigratingClient(served, link ?? served.Alice, through);
        Assert.Equal("0", await client.DescribeAsync(asks));
        return client;
    }

    /// <summary>A call; returns its status.</summary>
    public async Task<string> DescribeAsync(bool asks = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"https://127.0.0.1:{_port}/cleave.Worker/Describe")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(new byte[5]),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TryAddWithoutValidation("te", "trailers");
        request.Headers.TryAddWithoutValidation(WorkerMethods.TokenKey, WorkerMethods.TokenScheme + _link.Token);
        if (asks)
        {
            request.Headers.TryAddWithoutValidation(WorkerMethods.MigrationKey, "1");
        }

        using HttpResponseMessage response = await _http.SendAsync(request, TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        if (response.Headers.TryGetValues(WorkerMethods.MigrationKey, out IEnumerable<string>? told))
        {
            Key = MigrationKey.TryParse(told.Single());
        }

        return (response.Headers.TryGetValues("grpc-status", out IEnumerable<string>? values) ? values : response.TrailingHeaders.GetValues("grpc-status")).Single();
    }

    /// <summary>Resets its TCP connection.</summary>
    public void Lose()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    /// <summary>Bytes of a preamble as its next move would show it now; changed as told. It has lost its connection.</summary>
    public async Task<byte[]> PreambleAsync(Func<MigrationPreamble, MigrationPreamble>? change = null)
    {
        byte[] bytes = new byte[MigrationPreamble.Bytes];
        Assert.False(await _stream.SwitchAsync(
            Stream.Null,
            state =>
            {
                Write(state, Number + 1, bytes, change);
                return null;
            },
            (_, _) => default, TestContext.Current.CancellationToken));
        return bytes;
    }

    /// <summary>Carries it on over a new TCP connection. Returns the preamble shown.</summary>
    public async Task<byte[]> MoveAsync()
    {
        _socket = await DialAsync(_port, TestContext.Current.CancellationToken);
        byte[] bytes = new byte[MigrationPreamble.Bytes];
        Assert.True(await _stream.SwitchAsync(
            new NetworkStream(_socket, ownsSocket: true),
            state => new MigrationGreeting(bytes, Write(state, ++Number, bytes, null).From),
            async (stream, cancellationToken) =>
            {
                byte[] answer = new byte[MigrationPreamble.AnswerBytes];
                await stream.ReadExactlyAsync(answer, cancellationToken);
                Assert.True(MigrationPreamble.TryReadAnswer(answer, out _));
            },
            TestContext.Current.CancellationToken));
        return bytes;
    }

    /// <summary>Its calls are answered, over the connection it had from the start.</summary>
    public async Task GoesOnAsync()
    {
        Assert.Equal("0", await DescribeAsync());
        Assert.Equal(1, Connections);
    }

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        _stream.Dispose();
        return ValueTask.CompletedTask;
    }

    private MigrationPreamble Write(MigrationState state, ulong number, byte[] bytes, Func<MigrationPreamble, MigrationPreamble>? change)
    {
        var preamble = new MigrationPreamble(Key!.IdOf(number), state.Received, state.KeptFrom);
        preamble = change?.Invoke(preamble) ?? preamble;
        preamble.Write(Key, number, bytes);
        return preamble;
    }

    private async ValueTask<Socket> DialAsync(int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
        return socket;
    }
}
