using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Sockets;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A TCP proxy that resets its connection after an exact number of bytes one way, once.</summary>
internal sealed class ByteCutter : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _over = new();
    private readonly Task _accepting;
    private readonly long[] _passed = new long[2];
    private readonly TaskCompletionSource _cutFirst = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _cuts;
    private volatile int _frozen;

    public ByteCutter(int targetPort)
    {
        FastOpen.Accept(_listener.Server, 16);
        _listener.Start();
        _accepting = AcceptAsync(targetPort);
    }

    /// <summary>Where to connect.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Bytes towards the worker so far, on the first connection.</summary>
    public long Up => Interlocked.Read(ref _passed[0]);

    /// <summary>Bytes from the worker so far.</summary>
    public long Down => Interlocked.Read(ref _passed[1]);

    /// <summary>Byte towards the worker (or from it) before which the first connection breaks; none when null.</summary>
    public (bool Up, long At)? CutAt { get; init; }

    /// <summary>Told of the break before either side can notice.</summary>
    public Action? OnCut { get; init; }

    /// <summary>Connections broken: 0 or 1.</summary>
    public int Cuts => _cuts;

    /// <summary>Connections made so far.</summary>
    public int Connections { get; private set; }

    /// <summary>From now on the connections there are carry nothing any more, and do not say so; new ones do.</summary>
    public void Freeze() => _frozen = Connections;

    /// <summary>Breaks the first connection now.</summary>
    public void CutFirst() => _cutFirst.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync();
        _listener.Stop();
        await _accepting;
        _over.Dispose();
    }

    private async Task AcceptAsync(int targetPort)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_over.Token);
                Connections++;
                connections.Add(ServeAsync(client, targetPort, connections.Count));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }

    private async Task ServeAsync(Socket client, int targetPort, int number)
    {
        bool isFirst = number == 0;
        using var worker = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await worker.ConnectAsync(IPAddress.Loopback, targetPort, _over.Token);
                await Task.WhenAny(PumpAsync(client, worker, 0, number), PumpAsync(worker, client, 1, number), isFirst ? _cutFirst.Task : Task.Delay(Timeout.Infinite, _over.Token));
            }
            catch (Exception lost) when (lost is SocketException or OperationCanceledException)
            {
                // Either side left, or the test is over.
            }

            // A reset, not a farewell.
            client.LingerState = new LingerOption(true, 0);
            worker.LingerState = new LingerOption(true, 0);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, int way, int number)
    {
        bool isFirst = number == 0;
        byte[] buffer = new byte[16 * 1024];
        try
        {
            while (true)
            {
                int count = await from.ReceiveAsync(buffer, _over.Token);
                if (count == 0)
                {
                    return;
                }

                if (number < _frozen)
                {
                    await Task.Delay(Timeout.Infinite, _over.Token);
                }

                long before = isFirst ? Interlocked.Add(ref _passed[way], count) - count : 0;
                if (isFirst && CutAt is { } cut && cut.Up == (way == 0) && before + count > cut.At && Interlocked.CompareExchange(ref _cuts, 1, 0) == 0)
                {
                    await to.SendAsync(buffer.AsMemory(0, (int)Math.Max(0, cut.At - before)), _over.Token);
                    OnCut?.Invoke();
                    return;
                }

                for (int sent = 0; sent < count;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _over.Token);
                }
            }
        }
        catch (Exception lost) when (lost is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Either side left, or the test is over.
        }
    }
}
