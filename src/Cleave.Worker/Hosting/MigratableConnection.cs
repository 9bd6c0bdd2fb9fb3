using System.Buffers;
using System.IO.Pipelines;
using Cleave.Protocol.Migration;
using Cleave.Worker.Tenants;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Cleave.Worker.Hosting;

/// <summary>
/// A client's connection, as TLS and HTTP/2 see it: it may outlive the TCP connection it came by. Idle and with the right to it given out, it is
/// kept for a while after that is lost, until the client goes on with it over another one. Once it carries a session it ends with its TCP connection:
/// the session is detached at once, and resumed as ever.
/// </summary>
internal sealed class MigratableConnection : ConnectionContext, IDuplexPipe
{
    // Of what the worker sends before a session: settings, descriptions, pings.
    private const int KeptBytes = 64 << 10;

    private readonly Lock _lock = new();
    private readonly ConnectionContext _first;
    private readonly ConnectionMigration _migration;
    private readonly CancellationTokenSource _closed = new();
    private readonly SemaphoreSlim _moving = new(1, 1);
    private readonly MigratingStream _stream;
    private TcpConnection _tcp;
    private MigrationKey? _key;
    private ulong _moves;
    private bool _isOver;

    public MigratableConnection(ConnectionContext first, ConnectionAdmission.Ticket ticket, ConnectionMigration migration)
    {
        _first = first;
        _migration = migration;
        _tcp = new TcpConnection(first, ticket);
        _stream = new MigratingStream(_tcp.Bytes, MayOutlive, Kept) { NeverRefusesWrites = true };
        MemoryPool<byte>? pool = first.Features.Get<Microsoft.AspNetCore.Connections.Features.IMemoryPoolFeature>()?.MemoryPool;
        Input = PipeReader.Create(_stream, new StreamPipeReaderOptions(pool, bufferSize: 16 << 10, leaveOpen: true));
        Output = PipeWriter.Create(_stream, new StreamPipeWriterOptions(pool, leaveOpen: true));
        Transport = this;
        ConnectionClosed = _closed.Token;
        Features = new FeatureCollection(first.Features);
        Features.Set(this);
        Watch(_tcp);
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    public override IDuplexPipe Transport { get; set; }

    public override string ConnectionId
    {
        get => _first.ConnectionId;
        set => _first.ConnectionId = value;
    }

    public override IFeatureCollection Features { get; }

    public override IDictionary<object, object?> Items
    {
        get => _first.Items;
        set => _first.Items = value;
    }

    /// <summary>Tenant it is of; null until the right to it was given out.</summary>
    public TenantAccount? Account { get; private set; }

    /// <summary>Standing of the TCP connection it has, or had last.</summary>
    public ConnectionAdmission.Ticket Ticket
    {
        get
        {
            lock (_lock)
            {
                return _tcp.Ticket;
            }
        }
    }

    /// <summary>The right to carry it on, to be told in a call's answer; null when it ends with its TCP connection.</summary>
    public MigrationKey? GiveKey(TenantAccount account)
    {
        // What is sent from here on may have to be sent again: the answer with the key first of all.
        _stream.Keep(KeptBytes);
        if (!_stream.IsMovable)
        {
            return null;
        }

        lock (_lock)
        {
            if (_isOver || _key is not null)
            {
                return _isOver ? null : _key;
            }

            Account = account;
            _key = MigrationKey.Create();
        }

        Expect(_key.IdOf(1));
        return _key;
    }

    /// <summary>It carries a session from now on.</summary>
    public void Fix()
    {
        _stream.Fix();
        Forget();
    }

    /// <summary>
    /// Goes on over another TCP connection, if the preamble proves the right to it. Returns when that one is done with; false when it proves nothing, or
    /// the connection could not go on.
    /// </summary>
    public async Task<bool> MoveAsync(byte[] preamble, ConnectionContext next, ConnectionAdmission.Ticket ticket)
    {
        // 1. The right is proved. Shown once, it is good for nothing more, whatever comes of it.
        ulong number;
        lock (_lock)
        {
            number = _moves + 1;
            if (_isOver || _key is null || !MigrationPreamble.IsProved(preamble, _key, number))
            {
                return false;
            }

            _moves = number;
        }

        _migration.Forget(_key.IdOf(number), this);
        Expect(_key.IdOf(number + 1));
        var tcp = new TcpConnection(next, ticket);
        if (!await _moving.WaitAsync(_migration.HandshakeTimeout).ConfigureAwait(false))
        {
            return false;
        }

        try
        {
            // 2. The TCP connection it has is left, though this side may not have noticed its loss. What is unread of it comes again.
            if (!_stream.Leave())
            {
                return false;
            }

            TcpConnection left;
            lock (_lock)
            {
                left = _tcp;
                _tcp = tcp;
            }

            left.Lose();
            left.Ticket.Dispose();

            // 3. Both sides' lost bytes are sent again.
            string? problem = ticket.Admit(Account!);
            if (problem is not null || !await SwitchAsync(preamble, tcp).ConfigureAwait(false))
            {
                Close(problem ?? "it could not be carried on");
                return false;
            }
        }
        finally
        {
            _moving.Release();
        }

        _migration.Moved(this);
        Watch(tcp);
        await tcp.Over.ConfigureAwait(false);
        return true;
    }

    public override void Abort(ConnectionAbortedException? abortReason) => Close(abortReason?.Message ?? "aborted");

    public override void Abort() => Close("aborted");

    /// <summary>It ends, with the TCP connection it has.</summary>
    public void Close(string reason)
    {
        TcpConnection tcp;
        lock (_lock)
        {
            _isOver = true;
            tcp = _tcp;
        }

        _stream.End(new ConnectionAbortedException(reason));
        Forget();
        tcp.Lose(reason);
        Cancel();
    }

    /// <summary>TLS and HTTP/2 are done with it.</summary>
    public override async ValueTask DisposeAsync()
    {
        TcpConnection tcp;
        lock (_lock)
        {
            _isOver = true;
            tcp = _tcp;
        }

        _stream.End(new ConnectionAbortedException("closed"));
        Forget();
        await Input.CompleteAsync().ConfigureAwait(false);
        await Output.CompleteAsync().ConfigureAwait(false);
        tcp.Leave();
        Cancel();
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<bool> SwitchAsync(byte[] preamble, TcpConnection tcp)
    {
        _ = MigrationPreamble.TryRead(preamble, out MigrationPreamble claim);
        long skipped = 0;
        using var patience = new CancellationTokenSource(_migration.HandshakeTimeout);
        try
        {
            return await _stream.SwitchAsync(
                tcp.Bytes, state => Greet(claim, state, out skipped), (bytes, cancellationToken) => SkipAsync(bytes, skipped, cancellationToken), patience.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            // Lost again before it began.
            return false;
        }
    }

    private MigrationGreeting? Greet(MigrationPreamble claim, MigrationState state, out long skipped)
    {
        // Not kept any more. Here, while nobody reads or writes: it may be lost again, and kept, the moment after.
        _migration.Taken(this);
        skipped = state.Received - claim.From;
        if (skipped < 0 || claim.Received > state.Sent || claim.Received < state.KeptFrom)
        {
            return null;
        }

        byte[] answer = new byte[MigrationPreamble.AnswerBytes];
        MigrationPreamble.WriteAnswer(state.Received, answer);
        return new MigrationGreeting(answer, claim.Received);
    }

    private static async ValueTask SkipAsync(Stream bytes, long count, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[(int)Math.Min(count, 4096)];
        while (count > 0)
        {
            int read = await bytes.ReadAsync(buffer.AsMemory(0, (int)Math.Min(count, buffer.Length)), cancellationToken).ConfigureAwait(false);
            count -= read > 0 ? read : throw new EndOfStreamException();
        }
    }

    // Under the stream's lock: this object's lock is never held when the stream's is asked for.
    private bool MayOutlive(MigrationState state)
    {
        lock (_lock)
        {
            return _key is not null && !_isOver && _migration.Keeps;
        }
    }

    private void Kept(Stream gone)
    {
        TcpConnection tcp;
        lock (_lock)
        {
            tcp = _tcp;
            if (!ReferenceEquals(gone, tcp.Bytes))
            {
                return; // A move has come before this was noticed, and has left it.
            }
        }

        tcp.Lose();
        tcp.Ticket.Dispose();
        _migration.Keep(this);
        if (!_stream.IsMovable)
        {
            _migration.Taken(this);
        }
    }

    private void Expect(MigrationId id)
    {
        _migration.Expect(id, this);
        if (!_stream.IsMovable)
        {
            Forget();
        }
    }

    private void Forget()
    {
        MigrationKey? key;
        ulong number;
        lock (_lock)
        {
            key = _key;
            number = _moves + 1;
        }

        if (key is not null)
        {
            _migration.Forget(key.IdOf(number), this);
            _migration.Taken(this);
        }
    }

    // Whoever reads finds it lost, and decides whether it is kept. One that ends with its TCP connection ends at once, read or not.
    private void Watch(TcpConnection tcp) => tcp.Connection.ConnectionClosed.UnsafeRegister(
        _ =>
        {
            bool isMovable = _stream.IsMovable;
            lock (_lock)
            {
                if (!ReferenceEquals(tcp, _tcp) || (_key is not null && isMovable))
                {
                    return;
                }
            }

            Cancel();
        },
        null);

    private void Cancel()
    {
        try
        {
            _closed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // Done with already.
        }
    }
}
