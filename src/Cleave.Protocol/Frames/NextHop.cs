using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Frames;

/// <summary>
/// Where a worker passes a session's rows on to: the next worker of the chain, known by its key, and the right to one session there,
/// which the trusted side has opened. It gives no right to anything else on that worker.
/// </summary>
/// <param name="Host">Name or address, ASCII; an IPv6 address without brackets.</param>
/// <param name="Port">TCP port.</param>
/// <param name="Fingerprint">SHA-256 of the next worker's public key.</param>
/// <param name="LayerEnd">One past the last layer there; its first is the one after ours.</param>
/// <param name="SessionId">16 bytes.</param>
/// <param name="Secret">16 bytes, <see cref="HopTicket.SecretOf"/>.</param>
public sealed record NextHop(
    string Host, int Port, ReadOnlyMemory<byte> Fingerprint, int LayerEnd, ReadOnlyMemory<byte> SessionId, ReadOnlyMemory<byte> Secret)
{
    /// <summary>host:port.</summary>
    public string Address => PairingLink.FormatAddress(Host, Port);

    /// <summary>What is shown there in place of a tenant's token.</summary>
    public HopTicket Ticket => new(new Guid(SessionId.Span), Secret);
}
