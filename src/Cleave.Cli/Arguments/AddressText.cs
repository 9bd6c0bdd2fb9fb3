using System.Globalization;
using System.Net;

namespace Cleave.Cli.Arguments;

/// <summary>Network addresses as people write them.</summary>
internal static class AddressText
{
    /// <summary>Reads HOST:PORT to connect to; a name is resolved when it is used.</summary>
    /// <exception cref="FormatException">With the text and an example.</exception>
    public static EndPoint ParseTarget(string? text)
    {
        if (IPEndPoint.TryParse(text ?? "", out IPEndPoint? address) && address.Port > 0)
        {
            return address;
        }

        int colon = (text ?? "").LastIndexOf(':');
        return colon > 0
            && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port)
            && port is > 0 and < 65536
            && Uri.CheckHostName(text![..colon]) is UriHostNameType.Dns
            ? new DnsEndPoint(text[..colon], port)
            : throw new FormatException($"'{text}' is not an address: write HOST:PORT, such as 127.0.0.1:7707");
    }

    /// <summary>Reads HOST:PORT or a bare port to listen on; a bare port means this machine only, port 0 any free one.</summary>
    /// <exception cref="FormatException">With the text and an example.</exception>
    public static IPEndPoint ParseListen(string? text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port < 65536)
        {
            return new IPEndPoint(IPAddress.Loopback, port);
        }

        string local = (text ?? "").Replace("localhost", "127.0.0.1", StringComparison.OrdinalIgnoreCase);
        return local.Contains(':', StringComparison.Ordinal) && IPEndPoint.TryParse(local, out IPEndPoint? address)
            ? address
            : throw new FormatException($"'{text}' cannot be listened on: write HOST:PORT with a numeric host, such as 127.0.0.1:9000");
    }
}
