using System.Net;
using System.Net.Sockets;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Sockets;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// Makes a link's connections. The first is made as ever. Later ones to the address that answered then are made with TCP Fast Open: the TLS
/// greeting travels with the SYN where the address gave out a cookie for it, and asks for one where not. One that comes to nothing is
/// followed by one made as ever; all are from then on where something on the path drops such SYNs.
/// </summary>
/// <param name="pairing">Names the worker.</param>
/// <param name="fastOpen">False to do without Fast Open.</param>
/// <param name="resolve">Addresses of a host; the system's resolver when null.</param>
internal sealed class Dialer(PairingLink pairing, bool fastOpen, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
{
    private volatile IPAddress? _answered;
    private volatile bool _drops;
    private volatile bool _carriesNothingOn;

    /// <summary>False once a connection was there and did not answer a move: something on the path lets nothing pass but TLS.</summary>
    public bool CarriesOn
    {
        get => !_carriesNothingOn;
        set => _carriesNothingOn = !value;
    }

    /// <summary>Connects, or makes ready to.</summary>
    /// <param name="opened">Told once there is a connection: before this returns, or when the first bytes have come.</param>
    /// <param name="closed">Told when it is gone, if there was one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="early">False to do without Fast Open: what it would win is won otherwise.</param>
    /// <exception cref="SocketException">It cannot be reached.</exception>
    public async ValueTask<Stream> DialAsync(Action opened, Action closed, CancellationToken cancellationToken, bool early = true)
    {
        // 1. The name is resolved every time: a worker may move.
        IPAddress? address = early && fastOpen && !_drops && _answered is { } answered && await ResolvesToAsync(answered, cancellationToken).ConfigureAwait(false) ? answered : null;
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // 2. Connect; with a cookie this takes no time and means nothing yet.
            if (address is not null && FastOpen.TryDefer(socket))
            {
                await socket.ConnectAsync(address, pairing.Port, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                // The pairing link's own host: an IPv6 literal reaches the socket without its brackets.
                IPAddress[] addresses = await (resolve ?? Dns.GetHostAddressesAsync)(pairing.Host, cancellationToken).ConfigureAwait(false);
                await socket.ConnectAsync(addresses, pairing.Port, cancellationToken).ConfigureAwait(false);
            }

            // 3. What it turns out to be shows with the first bytes.
            bool deferred = address is not null && FastOpen.IsDeferred(socket);
            return new DialedStream(new NetworkStream(socket, ownsSocket: true), deferred, answers => Note(socket, deferred, answers), opened, closed);
        }
        catch
        {
            _answered = null;
            socket.Dispose();
            throw;
        }
    }

    private void Note(Socket socket, bool deferred, bool answers)
    {
        try
        {
            _answered = answers ? (socket.RemoteEndPoint as IPEndPoint)?.Address : null;
            _drops |= answers && deferred && FastOpen.WasDropped(socket);
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException)
        {
            // Reset right behind its first bytes.
        }
    }

    private async ValueTask<bool> ResolvesToAsync(IPAddress address, CancellationToken cancellationToken)
    {
        IPAddress[] addresses = await (resolve ?? Dns.GetHostAddressesAsync)(pairing.Host, cancellationToken).ConfigureAwait(false);
        return addresses.Any(each => each.MapToIPv6().Equals(address.MapToIPv6()));
    }
}
