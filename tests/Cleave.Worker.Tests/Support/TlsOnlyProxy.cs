using System.Net;
using System.Net.Sockets;

namespace Cleave.Worker.Tests.Support;

/// <summary>Something on the path that lets TLS pass and nothing else. What else comes is closed, swallowed, or answered with words of its own.</summary>
internal sealed class TlsOnlyProxy : IAsyncDisposable
{
    private const byte TlsHandshake = 22;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _over = new();
    private readonly int _target;
    private readonly byte[]? _answer;
    private readonly Task _serving;
    private CancellationTokenSource _cut = new();
    private int _others;

    /// <param name="target">Port of the worker.</param>
    /// <param name="answer">What others are answered: closed when empty, kept waiting when null.</param>
    public TlsOnlyProxy(int target, byte[]? answer)
    {
        _target = target;
        _answer = answer;
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Connections that were not TLS.</summary>
    public int Others => Volatile.Read(ref _others);

    /// <summary>Resets all connections.</summary>
    public void Cut() => Interlocked.Exchange(ref _cut, new CancellationTokenSource()).Cancel();

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        Cut();
        _listener.Stop();
        await _serving;
        _over.Dispose();
        _cut.Dispose();
    }

    private async Task ServeAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_over.Token);
                connections.Add(PassAsync(client, _cut.Token));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task PassAsync(Socket client, CancellationToken cut)
    {
        using var worker = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            try
            {
                byte[] first = new byte[4096];
                int count = await client.ReceiveAsync(first, cut);
                if (count > 0 && first[0] != TlsHandshake)
                {
                    Interlocked.Increment(ref _others);
                    await client.SendAsync(_answer ?? [], cut);
                    await Task.Delay(_answer is null ? Timeout.Infinite : 0, cut);
                    return;
                }

                await worker.ConnectAsync(IPAddress.Loopback, _target, cut);
                await worker.SendAsync(first.AsMemory(0, count), cut);
                await Task.WhenAny(PumpAsync(client, worker, cut), PumpAsync(worker, client, cut));
            }
            catch (Exception lost) when (lost is SocketException or OperationCanceledException)
            {
                // Either side left, or it was cut.
            }

            client.LingerState = new LingerOption(true, 0);
            worker.LingerState = new LingerOption(true, 0);
        }
    }

    private static async Task PumpAsync(Socket from, Socket to, CancellationToken cut)
    {
        byte[] buffer = new byte[16 << 10];
        for (int count = await from.ReceiveAsync(buffer, cut); count > 0; count = await from.ReceiveAsync(buffer, cut))
        {
            await to.SendAsync(buffer.AsMemory(0, count), cut);
        }
    }
}
