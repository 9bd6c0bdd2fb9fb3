namespace Cleave.Protocol;

/// <summary>Why a frame or a session was refused. Values are the wire's own.</summary>
public enum WireErrorCode : ushort
{
    Malformed = 1,
    TooLarge = 2,
    OutOfOrder = 3,
    UnknownParent = 4,
    UnknownRow = 5,
    NotFinite = 6,
    QuotaExceeded = 7,
    UnknownSession = 8,
    Unauthorized = 9,
    UnsupportedVersion = 10,
    UnsupportedLayers = 11,
    UnsupportedWireType = 12,
    Busy = 13,
    Expired = 14,
    TakenOver = 15,
    ShuttingDown = 16,
    Internal = 17,
}
