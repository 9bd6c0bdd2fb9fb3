using Microsoft.AspNetCore.Connections;

namespace Cleave.Worker.Hosting;

/// <summary>A TCP connection that carries a <see cref="MigratableConnection"/> for as long as both last.</summary>
internal sealed class TcpConnection
{
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private int _isLost;

    public TcpConnection(ConnectionContext connection, ConnectionAdmission.Ticket ticket)
    {
        Connection = connection;
        Ticket = ticket;
        Bytes = new PipeStream(connection.Transport);
    }

    public ConnectionContext Connection { get; }

    public ConnectionAdmission.Ticket Ticket { get; }

    /// <summary>Its bytes.</summary>
    public Stream Bytes { get; }

    /// <summary>Ends when it is done with.</summary>
    public Task Over => _over.Task;

    /// <summary>What was written is sent, then it is closed.</summary>
    public void Leave() => _over.TrySetResult();

    /// <summary>It is lost, or to be: who reads it is told, and its socket is freed.</summary>
    public void Lose(string reason = "lost")
    {
        if (Interlocked.Exchange(ref _isLost, 1) != 0)
        {
            return;
        }

        Connection.Abort(new ConnectionAbortedException(reason));
        Connection.Transport.Input.CancelPendingRead();
        Connection.Transport.Output.CancelPendingFlush();
        _over.TrySetResult();
    }
}
