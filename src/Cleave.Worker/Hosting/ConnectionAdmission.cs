using System.Net;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Tenants;
using Microsoft.AspNetCore.Connections;

namespace Cleave.Worker.Hosting;

/// <summary>
/// Bounds what strangers hold. A connection counts as a stranger's from TCP accept (so TLS handshakes are included) until
/// a call on it shows a valid token. Strangers have a deadline; when there are too many, in all or from one address, the
/// oldest is closed, so a flood of silent connections never keeps the next client out.
/// </summary>
internal sealed class ConnectionAdmission(ServingLimits limits, TimeProvider time, ILogger logger)
{
    private readonly ServingLimits _limits = limits;
    private readonly ILogger _logger = logger;
    private readonly Lock _lock = new();
    private readonly LinkedList<Ticket> _strangers = [];
    private int _connections;

    /// <summary>Connections without a valid token.</summary>
    public int Strangers
    {
        get
        {
            lock (_lock)
            {
                return _strangers.Count;
            }
        }
    }

    /// <summary>Connection middleware; goes outside TLS.</summary>
    public ConnectionDelegate Middleware(ConnectionDelegate next) => async connection =>
    {
        if (Interlocked.Increment(ref _connections) > _limits.MaxConnections)
        {
            Interlocked.Decrement(ref _connections);
            connection.Abort();
            return;
        }

        var ticket = new Ticket(this, connection);
        try
        {
            Enter(ticket);
            connection.Features.Set(ticket);
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            ticket.Dispose();
        }
    };

    private void Enter(Ticket ticket)
    {
        Ticket? closed = null;
        lock (_lock)
        {
            ticket.Node = _strangers.AddLast(ticket);
            if (_strangers.Count > _limits.MaxUnauthenticatedConnections)
            {
                closed = _strangers.First!.Value;
            }
            else if (_strangers.Count(t => t.Address.Equals(ticket.Address)) > Math.Max(1, _limits.MaxUnauthenticatedConnections / 2))
            {
                closed = _strangers.First(t => t.Address.Equals(ticket.Address));
            }

            if (closed is not null)
            {
                _strangers.Remove(closed.Node!);
                closed.Node = null;
            }
        }

        ticket.StartDeadline(time, _limits.AuthenticationTimeout);
        closed?.Abort("too many connections without a token");
    }

    private void NoStranger(Ticket ticket)
    {
        lock (_lock)
        {
            if (ticket.Node is not null)
            {
                _strangers.Remove(ticket.Node);
                ticket.Node = null;
            }
        }
    }

    /// <summary>A connection's standing.</summary>
    internal sealed class Ticket(ConnectionAdmission admission, ConnectionContext connection) : IDisposable
    {
        private readonly Lock _lock = new();
        private ITimer? _deadline;
        private TenantAccount? _tenant;
        private int _wrongTokens;
        private bool _gone;

        /// <summary>Its place among the strangers; null once it is none. Under the admission's lock.</summary>
        public LinkedListNode<Ticket>? Node { get; set; }

        public IPAddress Address { get; } = (connection.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;

        public void StartDeadline(TimeProvider time, TimeSpan timeout)
        {
            lock (_lock)
            {
                if (!_gone)
                {
                    _deadline = time.CreateTimer(_ => Abort("no valid token in time"), null, timeout, Timeout.InfiniteTimeSpan);
                }
            }
        }

        /// <summary>A call showed a valid token. Null, or why the tenant may not use this connection.</summary>
        public string? Admit(TenantAccount account)
        {
            lock (_lock)
            {
                if (_gone)
                {
                    return "the connection is lost";
                }

                if (_tenant == account)
                {
                    return null;
                }

                if (_tenant is not null && _tenant.Name != account.Name)
                {
                    return "a connection serves one tenant";
                }

                if (account.IsRevoked)
                {
                    return "the tenant's token is void";
                }

                if (!account.TryEnterConnection())
                {
                    return $"the tenant has {account.Quota.Connections} connections, its cap";
                }

                // The tenant's account before, if its token is another one by now.
                _tenant?.LeaveConnection();
                _tenant = account;
                _deadline?.Dispose();
                _deadline = null;
            }

            admission.NoStranger(this);
            return null;
        }

        /// <summary>A call showed no valid token.</summary>
        public void CountWrongToken()
        {
            bool enough;
            lock (_lock)
            {
                enough = ++_wrongTokens > admission._limits.MaxWrongTokensPerConnection && _tenant is null;
            }

            if (enough)
            {
                Abort("too many wrong tokens");
            }
        }

        public void Abort(string reason)
        {
            WorkerLog.ConnectionClosed(admission._logger, Address.ToString(), reason);
            connection.Abort(new ConnectionAbortedException(reason));
        }

        /// <summary>It holds nothing any more: its TCP connection is gone. What it carried may go on over another one, under that one's ticket.</summary>
        public void Dispose()
        {
            lock (_lock)
            {
                if (_gone)
                {
                    return;
                }

                _gone = true;
                _deadline?.Dispose();
                _tenant?.LeaveConnection();
                _tenant = null;
            }

            admission.NoStranger(this);
            Interlocked.Decrement(ref admission._connections);
        }
    }
}
