using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// A dialled connection's bytes; tells of its beginning and its end, which the HTTP handler does not. While the connect is deferred the peer's
/// address cannot be asked for, as the handler does of a <see cref="NetworkStream"/>: so this is none.
/// </summary>
internal sealed class DialedStream : DuplexStream
{
    private readonly Lock _lock = new();
    private readonly Stream _inner;
    private readonly bool _deferred;
    private readonly Action<bool> _met;
    private readonly Action _opened;
    private readonly Action _closed;
    private volatile bool _hasRead;
    private bool _hasWritten;
    private bool _isClosed;

    public DialedStream(Stream inner, bool deferred, Action<bool> met, Action opened, Action closed)
    {
        _inner = inner;
        _deferred = deferred;
        _met = met;
        _opened = opened;
        _closed = closed;
        if (!deferred)
        {
            opened();
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _hasRead ? _inner.ReadAsync(buffer, cancellationToken) : ReadFirstAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        _hasWritten || !_deferred ? _inner.WriteAsync(buffer, cancellationToken) : WriteFirstAsync(buffer, cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            bool first;
            lock (_lock)
            {
                first = !_isClosed;
                _isClosed = true;
            }

            if (first)
            {
                _inner.Dispose();
                End();
            }
        }

        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int count;
        try
        {
            count = await _inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e) when (ConnectProblem(e) is { } problem)
        {
            ExceptionDispatchInfo.Throw(problem);
            throw;
        }

        if (count > 0)
        {
            Begin();
        }

        return count;
    }

    private void Begin()
    {
        lock (_lock)
        {
            if (_isClosed)
            {
                return;
            }

            _hasRead = true;
        }

        _met(true);
        if (_deferred)
        {
            _opened();
        }
    }

    private void End()
    {
        if (!_hasRead)
        {
            _met(false);
        }

        if (_hasRead || !_deferred)
        {
            _closed();
        }
    }

    private async ValueTask WriteFirstAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        _hasWritten = true;
        try
        {
            await _inner.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.InProgress })
        {
            // The kernel has forgotten the cookie since: it connects as ever, and took none of the bytes.
            await _inner.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What the connect would have reported, had it not been deferred; null when the connection was there and broke.</summary>
    private SocketException? ConnectProblem(IOException problem) => _deferred && problem.InnerException is SocketException
    {
        SocketErrorCode: SocketError.ConnectionRefused or SocketError.TimedOut or SocketError.HostUnreachable or SocketError.NetworkUnreachable
            or SocketError.HostDown or SocketError.NetworkDown,
    } connect ? connect : null;
}
