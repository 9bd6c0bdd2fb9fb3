using System.Diagnostics.CodeAnalysis;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Migration;

/// <summary>
/// The bytes of a connection that may outlive its TCP connection: what is read and written here goes over a transport that can be replaced
/// by another one in between. Whoever reads and writes (TLS) notices nothing but the time. One reader and one writer at a time.
/// <list type="number">
/// <item>It counts what passes both ways, and keeps the tail of what it sent (<see cref="Keep"/>).</item>
/// <item>When the transport is lost, <paramref name="outlives"/> decides whether another one may come; if not, the loss is passed on as ever.</item>
/// <item>Until then reads and writes wait. <see cref="SwitchAsync"/> gives the new one, and sends what was lost.</item>
/// </list>
/// </summary>
/// <param name="transport">The first one.</param>
/// <param name="outlives">Asked at a loss, under this object's lock: true to wait for another transport.</param>
/// <param name="lost">Told then, without the lock, of the lost one.</param>
public sealed class MigratingStream(Stream transport, Func<MigrationState, bool> outlives, Action<Stream> lost) : DuplexStream
{
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _reading = new(1, 1);
    private readonly SemaphoreSlim _writing = new(1, 1);
    private Stream? _transport = transport;
    private Func<Stream, CancellationToken, ValueTask>? _ahead;
    private TaskCompletionSource? _next;
    private ByteTail? _tail;
    private Exception? _over;
    private long _received;
    private long _sent;
    private volatile Stream? _last;
    private bool _isFixed;
    private bool _isClosed;

    /// <summary>Told once when whoever reads and writes is done with it.</summary>
    public Action? Closed { get; init; }

    /// <summary>
    /// True to take what is written at once, as a socket's pipe does, whether it can be sent or not: until another transport comes it is kept,
    /// and dropped when none will. Whoever reads is told of a loss.
    /// </summary>
    public bool NeverRefusesWrites { get; init; }

    /// <summary>Bytes written so far.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>True until <see cref="Fix"/>, or its end.</summary>
    public bool IsMovable
    {
        get
        {
            lock (_lock)
            {
                return !_isFixed && _over is null;
            }
        }
    }

    /// <summary>From now on what is written is kept, the last <paramref name="most"/> bytes of it.</summary>
    public void Keep(int most)
    {
        lock (_lock)
        {
            if (!_isFixed)
            {
                _tail ??= new ByteTail(most, _sent);
            }
        }
    }

    /// <summary>From now on it ends with its transport.</summary>
    public void Fix()
    {
        bool isLost;
        lock (_lock)
        {
            _isFixed = true;
            _tail = null;
            _last = _transport;
            isLost = _transport is null && _over is null;
        }

        if (isLost)
        {
            End(new IOException("The connection was lost."));
        }
    }

    /// <summary>It is over: no other transport comes.</summary>
    public void End(Exception reason)
    {
        TaskCompletionSource? next;
        lock (_lock)
        {
            _over ??= reason;
            next = _next;
        }

        _ = next?.TrySetResult();
    }

    /// <summary>A transport turned out to be lost. False when the connection ends with it.</summary>
    public bool Lose(Stream gone)
    {
        lock (_lock)
        {
            if (_over is not null)
            {
                return false;
            }

            if (!ReferenceEquals(gone, _transport))
            {
                return true; // Replaced already, or being so.
            }

            if (_isFixed || _tail is null || !outlives(new MigrationState(_received, _sent, _tail.Start)))
            {
                return false;
            }

            _transport = null;
            _next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        lost(gone);
        return true;
    }

    /// <summary>Goes on over another transport. The lost one must not hold anybody up any more: closed, or about to be.</summary>
    /// <param name="next">The new one.</param>
    /// <param name="greet">
    /// Given the bytes received and sent so far and the first byte kept: what to say first on the new one, and the place from which kept bytes
    /// follow it; null refuses.
    /// </param>
    /// <param name="ahead">Reads from the new one what comes before the connection's own bytes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>False when it was refused or the connection is over; the new transport is the caller's then.</returns>
    public async ValueTask<bool> SwitchAsync(
        Stream next, Func<MigrationState, MigrationGreeting?> greet, Func<Stream, CancellationToken, ValueTask> ahead, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                byte[] bytes;
                lock (_lock)
                {
                    if (_isFixed || _over is not null || _transport is not null || _tail is null || greet(new MigrationState(_received, _sent, _tail.Start)) is not { } greeting)
                    {
                        return false;
                    }

                    bytes = new byte[greeting.Words.Length + (int)(_sent - greeting.From)];
                    greeting.Words.Span.CopyTo(bytes);
                    _tail.CopyTo(greeting.From, bytes.AsSpan(greeting.Words.Length));
                }

                await next.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
                TaskCompletionSource? waiting;
                lock (_lock)
                {
                    if (_isFixed || _over is not null)
                    {
                        return false;
                    }

                    _ahead = ahead;
                    _transport = next;
                    waiting = _next;
                    _next = null;
                }

                _ = waiting?.TrySetResult();
                return true;
            }
            finally
            {
                _writing.Release();
            }
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <summary>Leaves the transport it has, if any, though nothing may be known against it: another one is at hand. False when it ends with that.</summary>
    public bool Leave()
    {
        lock (_lock)
        {
            if (_isFixed || _over is not null)
            {
                return false;
            }

            if (_transport is not null)
            {
                _transport = null;
                _next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            return true;
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _last is { } last ? last.ReadAsync(buffer, cancellationToken) : ReadMovableAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _last is { } last ? last.WriteAsync(buffer, cancellationToken) : WriteMovableAsync(buffer, cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            End(new ObjectDisposedException(nameof(MigratingStream)));
            Stream? last;
            bool isFirst;
            lock (_lock)
            {
                last = _transport;
                isFirst = !_isClosed;
                _isClosed = true;
            }

            last?.Dispose();
            if (isFirst)
            {
                Closed?.Invoke();
            }
        }

        base.Dispose(disposing);
    }

    [SuppressMessage("Design", "CA1031", Justification = "A transport may fail in many ways; each is a loss, and passed on when the connection does not outlive it.")]
    private async ValueTask<int> ReadMovableAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task? waiting = null;
            await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (Current(ref waiting) is { } transport)
                {
                    try
                    {
                        if (_ahead is { } ahead)
                        {
                            await ahead(transport, cancellationToken).ConfigureAwait(false);
                            _ahead = null;
                        }

                        int count = await transport.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
                        if (count > 0 || buffer.IsEmpty || !Lose(transport))
                        {
                            _received += count;
                            return count;
                        }
                    }
                    catch (Exception) when (!cancellationToken.IsCancellationRequested && Lose(transport))
                    {
                        // Another one comes.
                    }
                }
            }
            finally
            {
                _reading.Release();
            }

            if (waiting is not null)
            {
                await waiting.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "As above.")]
    private async ValueTask WriteMovableAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task? waiting = null;
            await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (NeverRefusesWrites && TryTakeUnsent(buffer.Span))
                {
                    return;
                }

                if (Current(ref waiting) is { } transport)
                {
                    lock (_lock)
                    {
                        _sent += buffer.Length;
                        _tail?.Append(buffer.Span);
                    }

                    try
                    {
                        await transport.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
                    }
                    catch (Exception) when (!cancellationToken.IsCancellationRequested && (Lose(transport) || NeverRefusesWrites))
                    {
                        // Kept, and sent over the next one, if one comes.
                    }

                    return;
                }
            }
            finally
            {
                _writing.Release();
            }

            if (waiting is not null)
            {
                await waiting.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private bool TryTakeUnsent(ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_transport is not null)
            {
                return false;
            }

            if (_over is null)
            {
                _sent += bytes.Length;
                _tail?.Append(bytes);
            }

            return true;
        }
    }

    /// <summary>The transport to use; null, with what to wait for, while there is none.</summary>
    private Stream? Current(ref Task? waiting)
    {
        lock (_lock)
        {
            if (_transport is null && _over is not null)
            {
                throw new IOException("The connection was lost.", _over);
            }

            waiting = _transport is null ? _next!.Task : null;
            return _transport;
        }
    }
}
