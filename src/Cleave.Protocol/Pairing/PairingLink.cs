using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Cleave.Protocol.Pairing;

/// <summary>
/// Where a worker is, how to know it, and the right to use it: <c>cleave://host:port#fingerprint:token</c>. The
/// fingerprint is the full SHA-256 of the certificate's public key (SPKI) in base64url (43 characters) or hexadecimal
/// (64); the token has at least 128 bits in base64url. The part after # is a secret: <see cref="ToString"/> leaves it out.
/// </summary>
public sealed class PairingLink
{
    /// <summary>What every link starts with.</summary>
    public const string Scheme = "cleave://";

    /// <summary>Bytes of a fingerprint.</summary>
    public const int FingerprintBytes = SHA256.HashSizeInBytes;

    /// <summary>Fewest random bytes of a token.</summary>
    public const int MinTokenBytes = 16;

    /// <summary>Longest host name.</summary>
    public const int MaxHostLength = 255;

    private const int MaxTokenBytes = 64;
    private const int MaxLinkLength = 1024;

    /// <exception cref="ArgumentException">A part is out of its bounds.</exception>
    public PairingLink(string host, int port, ReadOnlySpan<byte> fingerprint, string token)
    {
        if (HostProblem(host) is { } hostProblem)
        {
            throw new ArgumentException(hostProblem, nameof(host));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        ArgumentOutOfRangeException.ThrowIfNotEqual(fingerprint.Length, FingerprintBytes);
        if (TokenProblem(token) is { } tokenProblem)
        {
            throw new ArgumentException(tokenProblem, nameof(token));
        }

        Host = host;
        Port = port;
        Fingerprint = fingerprint.ToArray();
        Token = token;
    }

    /// <summary>Name or address; an IPv6 address without brackets.</summary>
    public string Host { get; }

    /// <summary>TCP port.</summary>
    public int Port { get; }

    /// <summary>SHA-256 of the worker's public key.</summary>
    public ReadOnlyMemory<byte> Fingerprint { get; }

    /// <summary>The tenant's token, as sent.</summary>
    public string Token { get; }

    /// <summary>host:port, with brackets around an IPv6 address.</summary>
    public string Address => FormatAddress(Host, Port);

    /// <summary>host:port, with brackets around an IPv6 address.</summary>
    public static string FormatAddress(string host, int port) => host.Contains(':', StringComparison.Ordinal)
        ? string.Create(CultureInfo.InvariantCulture, $"[{host}]:{port}")
        : string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");

    /// <summary>True for a host name or address that a link may name.</summary>
    public static bool IsHost(string host) => HostProblem(host) is null;

    /// <summary>A new token of 256 random bits.</summary>
    public static string NewToken() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    /// <summary>A fingerprint as links and messages show it.</summary>
    public static string FormatFingerprint(ReadOnlySpan<byte> fingerprint) => Base64Url.EncodeToString(fingerprint);

    /// <summary>The same worker and token at another address: a moved worker, or an emulated link in between.</summary>
    public PairingLink At(string host, int port) => new(host, port, Fingerprint.Span, Token);

    /// <summary>The whole link, secrets included.</summary>
    public string ToSecretString() => $"{Scheme}{Address}#{FormatFingerprint(Fingerprint.Span)}:{Token}";

    /// <summary>The link without its secret part, for messages.</summary>
    public override string ToString() => Scheme + Address;

    /// <exception cref="FormatException">Says what is wrong; never echoes the part after #.</exception>
    public static PairingLink Parse(string text) => TryParse(text, out PairingLink? link, out string? problem) ? link! : throw new FormatException(problem);

    /// <summary>Reads a link. On false <paramref name="problem"/> says what is wrong, without the part after #.</summary>
    public static bool TryParse(string? text, out PairingLink? link, out string? problem)
    {
        link = null;
        text = (text ?? "").Trim();
        if (text.Length > MaxLinkLength)
        {
            problem = $"A pairing link has at most {MaxLinkLength} characters, this one {text.Length}.";
            return false;
        }

        if (!text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            problem = $"A pairing link looks like {Scheme}host:port#fingerprint:token; this text does not start with {Scheme}.";
            return false;
        }

        string rest = text[Scheme.Length..];
        int hash = rest.IndexOf('#', StringComparison.Ordinal);
        if (hash < 0)
        {
            problem = "The pairing link has no # with a fingerprint and token after it: copy the whole line the worker printed, in quotes.";
            return false;
        }

        if (!TrySplitAddress(rest[..hash].TrimEnd('/'), out string host, out int port, out problem))
        {
            return false;
        }

        string secret = rest[(hash + 1)..];
        int colon = secret.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            problem = "The pairing link has no : between fingerprint and token after its #.";
            return false;
        }

        byte[]? fingerprint = ParseFingerprint(secret[..colon]);
        if (fingerprint is null)
        {
            problem = $"The fingerprint in the pairing link has {colon} characters and is not a SHA-256: 43 in base64url or 64 in hexadecimal.";
            return false;
        }

        string token = secret[(colon + 1)..];
        problem = TokenProblem(token);
        if (problem is not null)
        {
            return false;
        }

        link = new PairingLink(host, port, fingerprint, token);
        return true;
    }

    /// <summary>Splits host:port; an IPv6 address stands in brackets. Port 0 is refused unless <paramref name="allowAnyPort"/>.</summary>
    public static bool TrySplitAddress(string address, out string host, out int port, out string? problem, bool allowAnyPort = false)
    {
        host = "";
        port = 0;
        int colon = address.LastIndexOf(':');
        if (colon < 0 || address.EndsWith(']'))
        {
            problem = $"The address '{address}' has no port: write host:port.";
            return false;
        }

        host = address[..colon];
        bool bracketed = host.StartsWith('[') && host.EndsWith(']') && host.Length > 2;
        if (bracketed)
        {
            host = host[1..^1];
        }
        else if (host.Contains(':', StringComparison.Ordinal))
        {
            problem = $"The IPv6 address in '{address}' needs brackets: [address]:port.";
            return false;
        }

        if (bracketed && !(IPAddress.TryParse(host, out IPAddress? ip) && ip.AddressFamily == AddressFamily.InterNetworkV6))
        {
            problem = $"'{host}' in brackets is no IPv6 address.";
            return false;
        }

        problem = HostProblem(host);
        if (problem is not null)
        {
            return false;
        }

        string portText = address[(colon + 1)..];
        if (!int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > ushort.MaxValue || (port == 0 && !allowAnyPort))
        {
            problem = $"The port '{portText}' is not a number from {(allowAnyPort ? 0 : 1)} to {ushort.MaxValue}.";
            return false;
        }

        return true;
    }

    private static string? HostProblem(string host)
    {
        if (host.Length is 0 or > MaxHostLength)
        {
            return $"A host name has 1 to {MaxHostLength} characters, this one {host.Length}.";
        }

        return host.Contains('[', StringComparison.Ordinal) || Uri.CheckHostName(host) == UriHostNameType.Unknown ? $"'{host}' is neither a host name nor an address." : null;
    }

    private static byte[]? ParseFingerprint(string text)
    {
        byte[] bytes = new byte[FingerprintBytes];
        return text.Length switch
        {
            2 * FingerprintBytes => Convert.FromHexString(text, bytes, out _, out int written) == System.Buffers.OperationStatus.Done && written == bytes.Length ? bytes : null,
            43 => Base64Url.IsValid(text, out int decoded) && decoded == bytes.Length && Base64Url.TryDecodeFromChars(text, bytes, out _) ? bytes : null,
            _ => null,
        };
    }

    private static string? TokenProblem(string token)
    {
        if (!Base64Url.IsValid(token, out int bytes) || token.AsSpan().ContainsAny(" \t\r\n="))
        {
            return $"The token in the pairing link ({token.Length} characters) is not base64url.";
        }

        return bytes is < MinTokenBytes or > MaxTokenBytes
            ? $"The token in the pairing link has {8 * bytes} bits; between {8 * MinTokenBytes} and {8 * MaxTokenBytes} are needed."
            : null;
    }
}
