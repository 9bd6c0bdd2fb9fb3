using System.Net;

namespace Cleave.Protocol.Grpc;

/// <summary>Times and bounds of a <see cref="GrpcLink"/>.</summary>
public sealed class GrpcLinkOptions
{
    /// <summary>TCP connect and TLS handshake together.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Answer to Describe, connecting included.</summary>
    public TimeSpan DescribeTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>HTTP/2 ping after this long without traffic, so that a dead path is noticed.</summary>
    public TimeSpan KeepAliveDelay { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>The connection is lost when a ping is not answered for this long.</summary>
    public TimeSpan KeepAliveTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>True to keep a second connection open, from the first session on, which is used when the first one is lost.</summary>
    public bool KeepsReserve { get; set; } = true;

    /// <summary>How long after the first session's opening the reserve is connected.</summary>
    public TimeSpan ReserveDelay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>True to connect again, to an address that has answered before, with TCP Fast Open where both hosts' systems have it: a round trip less.</summary>
    public bool FastOpen { get; set; } = true;

    /// <summary>
    /// True to carry an idle connection on when its TCP connection is lost: its TLS goes on over another one, where the worker gave the right to it.
    /// </summary>
    public bool Migrates { get; set; } = true;

    /// <summary>Time for that; then the connection is lost as any other.</summary>
    public TimeSpan MigrationTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Looks up the addresses of the worker's host, at every connection; the system's resolver when null.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>>? Resolve { get; set; }

    /// <summary>Largest frame taken from the worker; larger claims are refused before anything is read.</summary>
    public int MaxReceiveBytes { get; set; } = 64 << 20;

    /// <summary>Clock of the timeouts above that this link keeps itself (Describe).</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;
}
