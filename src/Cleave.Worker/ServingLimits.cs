using System.ComponentModel.DataAnnotations;

namespace Cleave.Worker;

/// <summary>Every cap of a worker. Defaults suit a small machine; docs/PROTOCOL.md lists them.</summary>
public sealed class ServingLimits
{
    /// <summary>Most rows in one step, before <see cref="MaxFrameBytes"/> lowers it for wide models.</summary>
    [Range(1, 65_536)]
    public int MaxRowsPerStep { get; set; } = 512;

    /// <summary>Most rows in one forward pass, over all sessions; at least <see cref="MaxRowsPerStep"/>.</summary>
    [Range(1, 65_536)]
    public int MaxRowsPerPass { get; set; } = 512;

    /// <summary>Largest frame taken; a larger claim is refused before it is read.</summary>
    [Range(4096, 64 << 20)]
    public int MaxFrameBytes { get; set; } = 8 << 20;

    /// <summary>Most frames of a session applied or queued and not acknowledged.</summary>
    [Range(1, 1024)]
    public int MaxFramesInFlight { get; set; } = 32;

    /// <summary>Most bytes of a session's queued activations and unacknowledged replies.</summary>
    [Range(1 << 16, int.MaxValue)]
    public int MaxBufferedBytesPerSession { get; set; } = 64 << 20;

    /// <summary>The same, over all sessions.</summary>
    [Range(1 << 16, long.MaxValue)]
    public long MaxBufferedBytes { get; set; } = 1L << 30;

    /// <summary>
    /// How long the compute thread of a GPU stays awake, spinning, around the moment at which a lone session's next step is due; zero for never. At most
    /// once a pass; without a session that has just been answered it always sleeps.
    /// </summary>
    public TimeSpan AwakeTime { get; set; } = TimeSpan.FromMilliseconds(4);

    /// <summary>Most sessions, over all tenants.</summary>
    [Range(1, 65_536)]
    public int MaxSessions { get; set; } = 256;

    /// <summary>Most KV tokens a session may ask for; 0 for the model's context length.</summary>
    [Range(0, int.MaxValue)]
    public int MaxKvTokensPerSession { get; set; }

    /// <summary>A session without frames for this long is closed.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>
    /// When room is needed, sessions idle for this long are closed early, those without a stream first, oldest first; those that hold nothing and
    /// have no stream, whether room is needed or not.
    /// </summary>
    public TimeSpan PressureIdleTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A stream that sends no open frame for this long is ended.</summary>
    public TimeSpan OpenTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Time for the TLS handshake.</summary>
    public TimeSpan HandshakeTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>A connection that has shown no valid token for this long is closed, handshake included.</summary>
    public TimeSpan AuthenticationTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Most connections without a valid token; a newer one closes the oldest. One address may hold half of them.</summary>
    [Range(2, 65_536)]
    public int MaxUnauthenticatedConnections { get; set; } = 64;

    /// <summary>Wrong tokens on one connection that are answered; the next one closes it.</summary>
    [Range(1, 1000)]
    public int MaxWrongTokensPerConnection { get; set; } = 3;

    /// <summary>Most connections in all.</summary>
    [Range(1, 1_000_000)]
    public int MaxConnections { get; set; } = 1024;

    /// <summary>How long an idle connection whose TCP connection was lost is kept for its client to go on with it over another one.</summary>
    public TimeSpan KeptConnectionTime { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Most connections so kept; the oldest goes first.</summary>
    [Range(0, 65_536)]
    public int MaxKeptConnections { get; set; } = 128;

    /// <summary>Most of one tenant.</summary>
    [Range(0, 65_536)]
    public int MaxKeptConnectionsPerTenant { get; set; } = 16;

    /// <summary>Time for the next worker of a chain to be connected to and to let us attach.</summary>
    public TimeSpan NextTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a next worker that was lost, or has no room, is sought before the session ends; one that nothing listens for any more is not.</summary>
    public TimeSpan NextRecovery { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>A next worker silent for this long on an unanswered frame is taken for lost.</summary>
    public TimeSpan NextSilence { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a stopping worker lets streams say goodbye.</summary>
    public TimeSpan GoodbyeTimeout { get; set; } = TimeSpan.FromSeconds(2);
}
