namespace Cleave.Protocol;

/// <summary>
/// Why a frame or a session was refused. Values are the wire's own; those from 0x8000 up are found on this side and
/// never sent (a peer that sends one has its error read as <see cref="Malformed"/>).
/// </summary>
public enum WireErrorCode : ushort
{
    /// <summary>A frame that does not follow the format.</summary>
    Malformed = 1,

    /// <summary>More bytes or rows than the worker takes at once.</summary>
    TooLarge = 2,

    /// <summary>A seq that is neither the next nor one already applied.</summary>
    OutOfOrder = 3,

    /// <summary>A parent id the session never had.</summary>
    UnknownParent = 4,

    /// <summary>A kept id that is not a live row continuing the chain, or a length past the committed one.</summary>
    UnknownRow = 5,

    /// <summary>An activation that is infinite or no number.</summary>
    NotFinite = 6,

    /// <summary>The tenant's or session's own cap; retrying helps only after something is freed.</summary>
    QuotaExceeded = 7,

    /// <summary>No such session, or another tenant's, or a wrong resume secret: they look the same.</summary>
    UnknownSession = 8,

    /// <summary>The token is missing, unknown or revoked.</summary>
    Unauthorized = 9,

    /// <summary>No common protocol version.</summary>
    UnsupportedVersion = 10,

    /// <summary>Layers the worker does not hold.</summary>
    UnsupportedLayers = 11,

    /// <summary>A wire type the worker does not speak.</summary>
    UnsupportedWireType = 12,

    /// <summary>The worker is full for now; see the retry time.</summary>
    Busy = 13,

    /// <summary>The session was idle too long.</summary>
    Expired = 14,

    /// <summary>The session was resumed by another stream.</summary>
    TakenOver = 15,

    /// <summary>The worker is stopping.</summary>
    ShuttingDown = 16,

    /// <summary>The worker failed; nothing the client did.</summary>
    Internal = 17,

    /// <summary>The worker does not pass rows on to that worker: its operator has not allowed it, or it cannot be reached from there.</summary>
    NotForwarded = 18,

    /// <summary>A later worker of the chain was lost, and the session with it.</summary>
    NextLost = 19,

    /// <summary>Could not connect.</summary>
    Unreachable = 0x8001,

    /// <summary>The connection or stream was lost; the session may be resumed.</summary>
    LinkLost = 0x8002,

    /// <summary>The certificate's key is not the one in the pairing link.</summary>
    WrongFingerprint = 0x8003,

    /// <summary>No answer in time.</summary>
    TimedOut = 0x8004,
}
