using System.Net;
using System.Net.Sockets;

namespace Cleave.Worker.Tests.Support;

/// <summary>Passes one connection on to a worker, until it forgets about it without a word, as a router does whose client has gone elsewhere.</summary>
internal sealed class SilentProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _over = new();
    private readonly Task _serving;
    private volatile bool _forgotten;

    public SilentProxy(int port)
    {
        _listener.Start();
        _serving = ServeAsync(port);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>True once the worker has closed what it was forgotten about.</summary>
    public bool WorkerHasClosed { get; private set; }

    /// <summary>From now on nothing passes, and neither side is told.</summary>
    public void Forget() => _forgotten = true;

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        _listener.Stop();
        await _serving;
        _over.Dispose();
    }

    private async Task ServeAsync(int port)
    {
        try
        {
            using Socket client = await _listener.AcceptSocketAsync(_over.Token);
            using var worker = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            client.NoDelay = true;
            await worker.ConnectAsync(IPAddress.Loopback, port, _over.Token);
            await Task.WhenAll(PumpAsync(client, worker, isWorker: false), PumpAsync(worker, client, isWorker: true));
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }

        async Task PumpAsync(Socket from, Socket to, bool isWorker)
        {
            byte[] buffer = new byte[4096];
            try
            {
                while (true)
                {
                    int count = await from.ReceiveAsync(buffer, _over.Token);
                    WorkerHasClosed |= count == 0 && isWorker && _forgotten;
                    if (count == 0)
                    {
                        return;
                    }

                    if (!_forgotten)
                    {
                        await to.SendAsync(buffer.AsMemory(0, count), _over.Token);
                    }
                }
            }
            catch (SocketException)
            {
                // The client's side: gone. The worker's: closed hard.
                WorkerHasClosed |= isWorker && _forgotten;
            }
        }
    }
}
