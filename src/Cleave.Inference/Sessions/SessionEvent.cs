namespace Cleave.Inference.Sessions;

/// <summary>Something that happened to a session, without content.</summary>
/// <param name="Kind">What.</param>
/// <param name="Message">One sentence for the user.</param>
/// <param name="Milliseconds">How long it took, 0 when it has only begun.</param>
/// <param name="Rows">Rows concerned.</param>
public sealed record SessionEvent(SessionEventKind Kind, string Message, double Milliseconds = 0, int Rows = 0);

/// <summary>Kinds of <see cref="SessionEvent"/>.</summary>
public enum SessionEventKind
{
    /// <summary>The link broke; recovery begins.</summary>
    LinkLost,

    /// <summary>The same session goes on over a new connection.</summary>
    Resumed,

    /// <summary>The session is gone on the worker; its rows are sent to one again.</summary>
    Replaying,

    /// <summary>They have been, and the session goes on.</summary>
    Replayed,

    /// <summary>The new worker has another kernel fingerprint: the same tokens are no longer promised.</summary>
    IdentityNotPromised,

    /// <summary>The worker has no room for a step at the moment; it is sent again after the time the worker names.</summary>
    Waiting,

    /// <summary>A chain passes through this side at every hop, because its workers do not pass rows on.</summary>
    NotForwarded,
}
