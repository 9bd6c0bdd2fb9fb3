using System.Diagnostics;
using System.Net.Sockets;
using Cleave.Protocol.Migration;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// A lane's connection that is carried on when its TCP connection is lost while it carries no session:
/// <list type="number">
/// <item>the address is dialled again, its name resolved anew;</item>
/// <item>the preamble goes out, and at once behind it what may not have arrived, and what is written meanwhile: a ticket and lost frames;</item>
/// <item>the worker's answer and its own lost bytes come back: two round trips in all, and no handshake of TLS.</item>
/// </list>
/// One attempt. When it comes to nothing the connection is lost as any other, and calls on it fail.
/// </summary>
internal sealed class LaneConnection : IDisposable
{
    // What is kept: idle traffic, and a ticket with the frames that go out behind it.
    private const int KeptBytes = 512 << 10;

    // Of what was written before the ticket, this much may not have arrived; pings and their like. More is not plausible, and a new connection's first
    // window is 14 KB.
    private const int DoubtfulBytes = 2 << 10;

    // Of what was written before a call's answer, this much may not have arrived: the call has, and what was before it; its acknowledgements are small.
    private const int UnansweredBytes = 512;

    private readonly Lock _lock = new();
    private readonly Dialer _dialer;
    private readonly TimeSpan _timeout;
    private readonly CancellationTokenSource _over = new();
    private MigrationKey? _key;
    private ulong _number;
    private long _arrived;
    private long? _sessionFrom;
    private TimeSpan _dialTime;
    private bool _isMoving;

    private LaneConnection(Dialer dialer, TimeSpan timeout, Stream first, Action closed)
    {
        _dialer = dialer;
        _timeout = timeout;
        Stream = new MigratingStream(first, MayMove, Move)
        {
            Closed = () =>
            {
                Dispose();
                closed();
            },
        };
        Stream.Keep(KeptBytes);
    }

    /// <summary>Its bytes, for TLS.</summary>
    public MigratingStream Stream { get; }

    /// <summary>True once a call on it was answered: its windows are there.</summary>
    public bool IsWarm { get; private set; }

    /// <summary>True once it has gone on over another TCP connection.</summary>
    public bool HasMoved { get; private set; }

    /// <summary>Makes one.</summary>
    /// <param name="dialer">Makes its TCP connections.</param>
    /// <param name="timeout">Time for going on over another TCP connection.</param>
    /// <param name="opened">Told once there is a connection.</param>
    /// <param name="closed">Told when it is gone for good.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<LaneConnection> DialAsync(
        Dialer dialer, TimeSpan timeout, Action opened, Action closed, CancellationToken cancellationToken)
    {
        int open = 0;
        Stream first = await dialer.DialAsync(
            () =>
            {
                Volatile.Write(ref open, 1);
                opened();
            },
            static () => { },
            cancellationToken).ConfigureAwait(false);
        return new LaneConnection(dialer, timeout, first, () =>
        {
            if (Volatile.Read(ref open) != 0)
            {
                closed();
            }
        });
    }

    /// <summary>A call on it was answered, and the worker gave the right to carry it on with that; or did not.</summary>
    public void Own(MigrationKey? key)
    {
        long sent = Stream.Sent;
        lock (_lock)
        {
            IsWarm = true;
            _arrived = Math.Max(_arrived, sent - UnansweredBytes);
            _key ??= key;
        }
    }

    /// <summary>A session's call begins on it. Until that is answered the worker may not know of it, and what was written since is sent again after a loss.</summary>
    public void SessionBegins()
    {
        long sent = Stream.Sent;
        lock (_lock)
        {
            _sessionFrom ??= sent;
        }
    }

    /// <summary>It carries a session now, and ends with its TCP connection: the session is resumed over another one.</summary>
    public void SessionAnswered() => Stream.Fix();

    /// <summary>It is gone for good: nothing is dialled for it any more.</summary>
    public void Dispose()
    {
        _over.Cancel();
        _over.Dispose();
    }

    private long ResendFrom(MigrationState state) =>
        Math.Max(Math.Max(Math.Min(_sessionFrom ?? state.Sent, state.Sent) - DoubtfulBytes, Math.Min(_arrived, _sessionFrom ?? _arrived)), state.KeptFrom);

    private bool MayMove(MigrationState state)
    {
        lock (_lock)
        {
            if (_key is null || _isMoving || _over.IsCancellationRequested || _sessionFrom < state.KeptFrom || !_dialer.CarriesOn)
            {
                return false;
            }

            _isMoving = true;
            _number++;
            return true;
        }
    }

    private void Move(Stream gone)
    {
        gone.Dispose();
        _ = Task.Run(MoveAsync);
    }

    private async Task MoveAsync()
    {
        Stream? next = null;
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_over.Token);
            patience.CancelAfter(_timeout);
            long started = Stopwatch.GetTimestamp();
            next = await _dialer.DialAsync(static () => { }, static () => { }, patience.Token, early: false).ConfigureAwait(false);
            _dialTime = Stopwatch.GetElapsedTime(started);
            if (await Stream.SwitchAsync(next, Greet, ReadAnswerAsync, patience.Token).ConfigureAwait(false))
            {
                return;
            }

            Stream.End(new IOException("The connection was lost, and not carried on: more of it was lost than is kept."));
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            Stream.End(e is OperationCanceledException ? new IOException("The connection was lost, and the worker not reached in time to carry it on.") : e);
        }

        next?.Dispose();
    }

    private MigrationGreeting? Greet(MigrationState state)
    {
        lock (_lock)
        {
            if (_sessionFrom < state.KeptFrom)
            {
                return null;
            }

            long from = ResendFrom(state);
            byte[] preamble = new byte[MigrationPreamble.Bytes];
            new MigrationPreamble(_key!.IdOf(_number), state.Received, from).Write(_key, _number, preamble);
            return new MigrationGreeting(preamble, from);
        }
    }

    private async ValueTask ReadAnswerAsync(Stream transport, CancellationToken cancellationToken)
    {
        // It takes the round trip that dialling took, unless packets are lost or something near has taken the call for the worker.
        TimeSpan due = (4 * _dialTime) + TimeSpan.FromSeconds(2.5);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(due < _timeout ? due : _timeout);
        byte[] answer = new byte[MigrationPreamble.AnswerBytes];
        try
        {
            await transport.ReadExactlyAsync(answer, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            _dialer.CarriesOn = false;
            throw new IOException("The connection was lost, and the worker did not say in time that it goes on.");
        }

        if (!MigrationPreamble.TryReadAnswer(answer, out _))
        {
            _dialer.CarriesOn = false;
            throw new IOException("The connection was lost, and what answers in the worker's place does not carry it on.");
        }

        lock (_lock)
        {
            _isMoving = false;
            HasMoved = true;
        }
    }
}
