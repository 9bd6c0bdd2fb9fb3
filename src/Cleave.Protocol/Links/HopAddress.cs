using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Links;

/// <summary>Where another worker finds a worker, and the key to know it by. No secret.</summary>
/// <param name="Host">Name or address; an IPv6 address without brackets.</param>
/// <param name="Port">TCP port.</param>
/// <param name="Fingerprint">SHA-256 of its public key.</param>
public sealed record HopAddress(string Host, int Port, ReadOnlyMemory<byte> Fingerprint)
{
    /// <summary>The address a pairing link names.</summary>
    public static HopAddress Of(PairingLink link) => new(link.Host, link.Port, link.Fingerprint);
}
