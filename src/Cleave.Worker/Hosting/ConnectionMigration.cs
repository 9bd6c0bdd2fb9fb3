using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Cleave.Protocol.Migration;
using Cleave.Worker.Diagnostics;
using Microsoft.AspNetCore.Connections;

namespace Cleave.Worker.Hosting;

/// <summary>
/// Lets clients carry an idle connection on over another TCP connection. Connections whose right was given out are known by the id of their next move;
/// those that lost their TCP connection are kept for a time, and not more than a number of them, of one tenant and in all: the oldest goes first.
/// A preamble that proves nothing touches nobody: its own TCP connection is closed, and until then it counts as a stranger's.
/// </summary>
internal sealed class ConnectionMigration(ServingLimits limits, WorkerMetrics metrics, TimeProvider time, ILogger logger) : IDisposable
{
    private readonly ConcurrentDictionary<MigrationId, MigratableConnection> _expected = new();
    private readonly Lock _lock = new();
    private readonly LinkedList<(MigratableConnection Connection, ITimer Expiry)> _kept = [];
    private volatile bool _isOver;

    /// <summary>False once the worker stops: connections end with their TCP connections.</summary>
    public bool Keeps => !_isOver;

    /// <summary>Time for a move, and for its preamble.</summary>
    public TimeSpan HandshakeTimeout => limits.HandshakeTimeout;

    /// <summary>Connections kept without a TCP connection.</summary>
    public int Kept
    {
        get
        {
            lock (_lock)
            {
                return _kept.Count;
            }
        }
    }

    /// <summary>Moves that would be known.</summary>
    public int Expected => _expected.Count;

    /// <summary>Connection middleware; goes outside TLS and inside the admission.</summary>
    public ConnectionDelegate Middleware(ConnectionDelegate next) => async connection =>
    {
        ConnectionAdmission.Ticket ticket = connection.Features.Get<ConnectionAdmission.Ticket>()!;
        byte[]? preamble;
        try
        {
            using var patience = new CancellationTokenSource(limits.HandshakeTimeout, time);
            preamble = await ReadPreambleAsync(connection.Transport.Input, patience.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            connection.Abort(new ConnectionAbortedException("nothing said in time"));
            return;
        }

        if (preamble is null)
        {
            await using var migratable = new MigratableConnection(connection, ticket, this);
            await next(migratable).ConfigureAwait(false);
            return;
        }

        if (!MigrationPreamble.TryRead(preamble, out MigrationPreamble claim)
            || !_expected.TryGetValue(claim.Id, out MigratableConnection? earlier)
            || !await earlier.MoveAsync(preamble, connection, ticket).ConfigureAwait(false))
        {
            metrics.MoveRefused();
            WorkerLog.MoveRefused(logger, ticket.Address.ToString());
            connection.Abort(new ConnectionAbortedException("no connection to carry on"));
        }
    };

    /// <summary>A connection's next move will show this id.</summary>
    public void Expect(MigrationId id, MigratableConnection connection) => _expected[id] = connection;

    /// <summary>No move will show this id.</summary>
    public void Forget(MigrationId id, MigratableConnection connection) => _expected.TryRemove(KeyValuePair.Create(id, connection));

    /// <summary>A connection has lost its TCP connection, and waits for another one.</summary>
    public void Keep(MigratableConnection connection)
    {
        var over = new List<MigratableConnection>();
        lock (_lock)
        {
            ITimer expiry = time.CreateTimer(_ => connection.Close("kept long enough"), null, limits.KeptConnectionTime, Timeout.InfiniteTimeSpan);
            _kept.AddLast((connection, expiry));
            if (_kept.Count(each => each.Connection.Account == connection.Account) > limits.MaxKeptConnectionsPerTenant)
            {
                over.Add(_kept.First(each => each.Connection.Account == connection.Account).Connection);
            }
            else if (_kept.Count > limits.MaxKeptConnections)
            {
                over.Add(_kept.First!.Value.Connection);
            }
        }

        if (_isOver)
        {
            over.Add(connection);
        }

        over.ForEach(static each => each.Close("more are kept than may be"));
    }

    /// <summary>A connection is not kept any more: it goes on, or has ended.</summary>
    public void Taken(MigratableConnection connection)
    {
        ITimer? expiry = null;
        lock (_lock)
        {
            for (LinkedListNode<(MigratableConnection Connection, ITimer Expiry)>? node = _kept.First; node is not null; node = node.Next)
            {
                if (ReferenceEquals(node.Value.Connection, connection))
                {
                    expiry = node.Value.Expiry;
                    _kept.Remove(node);
                    break;
                }
            }
        }

        expiry?.Dispose();
    }

    /// <summary>A connection goes on.</summary>
    public void Moved(MigratableConnection connection)
    {
        metrics.ConnectionMoved();
        WorkerLog.ConnectionMoved(logger, connection.Account!.Name);
    }

    /// <summary>Ends those that are kept; none is from now on.</summary>
    public void Dispose()
    {
        _isOver = true;
        MigratableConnection[] kept;
        lock (_lock)
        {
            kept = [.. _kept.Select(static each => each.Connection)];
        }

        foreach (MigratableConnection connection in kept)
        {
            connection.Close("the worker stops");
        }
    }

    /// <summary>The preamble a connection begins with; null when it begins with anything else, of which nothing is taken.</summary>
    private static async Task<byte[]?> ReadPreambleAsync(PipeReader input, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            ReadOnlySequence<byte> bytes = result.Buffer;
            if (bytes.IsEmpty ? result.IsCompleted || result.IsCanceled : !MigrationPreamble.MayBegin(bytes.FirstSpan[0]))
            {
                input.AdvanceTo(bytes.Start);
                return null;
            }

            if (bytes.Length >= MigrationPreamble.Bytes)
            {
                byte[] preamble = bytes.Slice(0, MigrationPreamble.Bytes).ToArray();
                input.AdvanceTo(bytes.GetPosition(MigrationPreamble.Bytes));
                return preamble;
            }

            input.AdvanceTo(bytes.Start, bytes.End);
            if (result.IsCompleted || result.IsCanceled)
            {
                throw new IOException("A preamble was begun and not ended.");
            }
        }
    }
}
