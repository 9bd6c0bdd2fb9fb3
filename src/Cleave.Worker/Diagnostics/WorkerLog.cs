using Cleave.Protocol;

namespace Cleave.Worker.Diagnostics;

/// <summary>Every event of a worker that is logged. Sizes, counts and names only: activations, ids and tokens have no place here.</summary>
internal static partial class WorkerLog
{
    [LoggerMessage(1, LogLevel.Information, "Session {Session} of tenant {Tenant} opened: {WireType}, up to {MaxKvTokens} KV tokens")]
    public static partial void SessionOpened(ILogger logger, long session, string tenant, WireType wireType, int maxKvTokens);

    [LoggerMessage(2, LogLevel.Information, "Session {Session} forked from {Original}, {Tokens} KV tokens shared")]
    public static partial void SessionForked(ILogger logger, long session, long original, int tokens);

    [LoggerMessage(3, LogLevel.Information, "Session {Session} resumed by tenant {Tenant} after reply {LastReceivedSeq}")]
    public static partial void SessionResumed(ILogger logger, long session, string tenant, ulong lastReceivedSeq);

    [LoggerMessage(4, LogLevel.Information, "Session {Session} of tenant {Tenant} closed: {Reason}")]
    public static partial void SessionClosed(ILogger logger, long session, string tenant, string reason);

    [LoggerMessage(5, LogLevel.Information, "Session {Session} of tenant {Tenant} lost its stream; it can be resumed")]
    public static partial void StreamLost(ILogger logger, long session, string tenant);

    [LoggerMessage(6, LogLevel.Warning, "Stream of tenant {Tenant} refused: {Code}: {Problem}")]
    public static partial void StreamRefused(ILogger logger, string tenant, WireErrorCode code, string problem);

    [LoggerMessage(7, LogLevel.Error, "A pass of {Frames} frames and {Rows} rows failed")]
    public static partial void PassFailed(ILogger logger, Exception exception, int frames, int rows);

    [LoggerMessage(8, LogLevel.Warning, "A call without a valid token from {Remote}")]
    public static partial void WrongToken(ILogger logger, string remote);

    [LoggerMessage(9, LogLevel.Warning, "Connection from {Remote} closed: {Reason}")]
    public static partial void ConnectionClosed(ILogger logger, string remote, string reason);

    [LoggerMessage(10, LogLevel.Information, "Tenants read again: {Count}")]
    public static partial void TenantsReloaded(ILogger logger, int count);

    [LoggerMessage(11, LogLevel.Error, "The tenant file cannot be read; the tenants stay as they were")]
    public static partial void TenantsUnreadable(ILogger logger, Exception exception);

    [LoggerMessage(12, LogLevel.Information, "Frame {Seq} of session {Session} of tenant {Tenant} refused: {Code}, retry after {RetryAfterMs} ms")]
    public static partial void FrameRefused(ILogger logger, ulong seq, long session, string tenant, WireErrorCode code, int retryAfterMs);

    [LoggerMessage(13, LogLevel.Information, "Session {Session} passes its rows on to {Next}, layers {Start} to {End}")]
    public static partial void Forwarding(ILogger logger, long session, string next, int start, int end);

    [LoggerMessage(14, LogLevel.Warning, "Session {Session} lost its next worker {Next} for a while: {Problem}")]
    public static partial void NextBroken(ILogger logger, long session, string next, string problem);

    [LoggerMessage(16, LogLevel.Error, "Session {Session} could not pass its frames on to {Next}")]
    public static partial void RelayFailed(ILogger logger, Exception exception, long session, string next);

    [LoggerMessage(15, LogLevel.Information, "Session {Session} goes on with its next worker {Next}, {Frames} frames sent again")]
    public static partial void NextResumed(ILogger logger, long session, string next, int frames);

    [LoggerMessage(17, LogLevel.Information, "A connection of tenant {Tenant} goes on over another TCP connection")]
    public static partial void ConnectionMoved(ILogger logger, string tenant);

    [LoggerMessage(18, LogLevel.Warning, "A connection from {Remote} would carry on one that is not there for it")]
    public static partial void MoveRefused(ILogger logger, string remote);
}
