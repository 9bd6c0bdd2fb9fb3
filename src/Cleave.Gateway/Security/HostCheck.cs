using System.Net;
using Cleave.Gateway.Hosting;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.Security;

/// <summary>
/// Which names a client may ask for. A page of another site can make a browser connect here under a name of its own
/// (DNS rebinding); the Host header gives it away.
/// </summary>
internal sealed class HostCheck
{
    private readonly HashSet<string> _names = new(StringComparer.OrdinalIgnoreCase) { "localhost", "127.0.0.1", "[::1]" };
    private readonly bool _anyAddress;

    public HostCheck(GatewayOptions options)
    {
        foreach (string name in options.AllowedHosts)
        {
            _names.Add(name);
        }

        if (IPAddress.TryParse(options.Host, out IPAddress? address))
        {
            _anyAddress = IPAddress.Any.Equals(address) || IPAddress.IPv6Any.Equals(address);
            _names.Add(address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString());
        }
    }

    /// <summary>True when the request asks for a name of ours. A literal address cannot be rebound, so all are fine on a server that listens on all.</summary>
    public bool Allows(HostString host) => _names.Contains(host.Host) || (_anyAddress && IPAddress.TryParse(host.Host.Trim('[', ']'), out _));
}
