namespace Cleave.Protocol;

/// <summary>A peer refused, broke the protocol, or could not be reached in time.</summary>
public sealed class WireException : Exception
{
    public WireException(WireError error)
        : base(error.Message) => Error = error;

    public WireException(WireError error, Exception inner)
        : base(error.Message, inner) => Error = error;

    /// <summary>What happened.</summary>
    public WireError Error { get; }
}
