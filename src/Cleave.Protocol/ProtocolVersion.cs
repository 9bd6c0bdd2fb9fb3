namespace Cleave.Protocol;

/// <summary>
/// Versions of the frame format this build speaks. The client offers its highest in the open frame; the worker answers
/// with the version in force, the lower of the two highest; either side refuses one below its own lowest, by name.
/// </summary>
public static class ProtocolVersion
{
    /// <summary>Lowest version spoken.</summary>
    public const ushort Lowest = 1;

    /// <summary>Highest version spoken.</summary>
    public const ushort Highest = 2;

    /// <summary>First version whose workers may pass rows on to the next worker of a chain.</summary>
    public const ushort Hops = 2;

    /// <summary>The version in force between this build and a peer whose highest is <paramref name="peerHighest"/>.</summary>
    /// <returns>False when the peer is too old; the error names both ranges.</returns>
    public static bool TryNegotiate(ushort peerHighest, out ushort version, out WireError? error) =>
        TryNegotiate(peerHighest, Lowest, Highest, out version, out error);

    internal static bool TryNegotiate(ushort peerHighest, ushort lowest, ushort highest, out ushort version, out WireError? error)
    {
        version = Math.Min(peerHighest, highest);
        error = version >= lowest
            ? null
            : new WireError(
                WireErrorCode.UnsupportedVersion,
                $"This side speaks protocol versions {lowest} to {highest}, the other at most {peerHighest}: update the older of the two.",
                SessionSurvives: false);
        return error is null;
    }
}
