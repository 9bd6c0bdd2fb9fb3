namespace Cleave.Protocol.Grpc;

/// <summary>
/// Keeps a second connection to a worker open while sessions use the first: when that is lost a session goes on after one round trip instead
/// of two or three. It costs a handshake, and a ping now and then. The lane that carries sessions is the one that was usable last; the other is the reserve, which
/// is opened again in the background after it was needed or lost.
/// </summary>
/// <param name="lanes">Two.</param>
/// <param name="warm">Makes a call on a lane, which connects it and shows the token.</param>
/// <param name="options">Times.</param>
internal sealed class ReserveKeeper(GrpcLane[] lanes, Func<GrpcLane, CancellationToken, ValueTask<WorkerDescription>> warm, GrpcLinkOptions options) : IAsyncDisposable
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _over = new();
    private readonly SemaphoreSlim _lost = new(0);
    private GrpcLane _active = lanes[0];
    private Task? _keeping;

    /// <summary>The lane to use now.</summary>
    public GrpcLane Best
    {
        get
        {
            lock (_lock)
            {
                // A new connection is better than one that does not answer.
                if (!_active.IsUsable && (Reserve.IsUsable || (Reserve.IsClosed && !_active.IsClosed)))
                {
                    // The other one is the reserve now, and to be connected again.
                    _active = Reserve;
                    _lost.Release();
                }

                return _active;
            }
        }
    }

    private GrpcLane Reserve => ReferenceEquals(_active, lanes[0]) ? lanes[1] : lanes[0];

    /// <summary>There is something to keep a reserve for.</summary>
    public void Keep()
    {
        lock (_lock)
        {
            if (_keeping is not null || _over.IsCancellationRequested)
            {
                return;
            }

            foreach (GrpcLane lane in lanes)
            {
                lane.Lost = () => _lost.Release();
            }

            _keeping = Task.Run(KeepAsync);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _over.CancelAsync().ConfigureAwait(false);
        Task? keeping;
        lock (_lock)
        {
            keeping = _keeping;
        }

        if (keeping is not null)
        {
            await keeping.ConfigureAwait(false);
        }
    }

    private async Task KeepAsync()
    {
        TimeSpan pause = TimeSpan.Zero;
        try
        {
            // The sessions' own connection first.
            await Task.Delay(options.ReserveDelay, options.TimeProvider, _over.Token).ConfigureAwait(false);
            while (true)
            {
                GrpcLane lane;
                lock (_lock)
                {
                    lane = Reserve;
                }

                if (lane.IsUsable)
                {
                    pause = TimeSpan.Zero;
                    await _lost.WaitAsync(_over.Token).ConfigureAwait(false);
                    continue;
                }

                try
                {
                    await warm(lane, _over.Token).ConfigureAwait(false);
                    lane.Trust();
                }
                catch (WireException)
                {
                    // Whoever uses the link learns of it there. Once it works again there is a reserve again.
                    pause = pause + pause + TimeSpan.FromMilliseconds(100);
                    await Task.Delay(pause < s_longestPause ? pause : s_longestPause, options.TimeProvider, _over.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (_over.IsCancellationRequested)
        {
            // The link is closed.
        }
    }
}
