using System.Net.Sockets;

namespace Cleave.Protocol.Sockets;

/// <summary>
/// TCP Fast Open (RFC 7413) as Linux has it: the first bytes of a connection travel with its SYN, so that connecting costs no round trip of
/// its own. The client must have been given a cookie by that address before; the server's host must allow it
/// (<c>net.ipv4.tcp_fastopen</c>, bit 2). Elsewhere these calls do nothing, and connections are made as ever.
/// </summary>
public static class FastOpen
{
    /// <summary>Bytes that travel with a SYN on a path with packets of 1500: the segment size less what Linux sets aside for options.</summary>
    public const int SynBytes = 1420;

    private const int Tcp = 6;
    private const int TcpInfo = 11;
    private const int TcpFastOpen = 23;
    private const int TcpFastOpenConnect = 30;

    // Of struct tcp_info.
    private const int StateOffset = 0;
    private const int OptionsOffset = 5;
    private const int FailureOffset = 7;
    private const byte StateSynSent = 2;
    private const byte OptionSynData = 32;
    private const int SynRetransmitted = 3;

    /// <summary>Lets a socket that does not listen yet take data with a SYN; of connections so begun and not acknowledged, <paramref name="most"/>.</summary>
    public static void Accept(Socket listener, int most) => _ = TrySet(listener, TcpFastOpen, most);

    /// <summary>
    /// Makes the connect of a socket wait for its first bytes where a cookie is known, and ask for one where none is. False where the system cannot.
    /// A socket so connected has no address of its peer until an answer came, and reports at its first read what a connect would have.
    /// </summary>
    public static bool TryDefer(Socket socket) => TrySet(socket, TcpFastOpenConnect, 1);

    /// <summary>True of a socket whose connect waits for its first bytes, or for the answer to them.</summary>
    public static bool IsDeferred(Socket socket) => Info(socket, StateOffset) == StateSynSent;

    /// <summary>True when this connection's first bytes travelled with its SYN. Either side knows.</summary>
    public static bool CameWithSyn(Socket socket) => (Info(socket, OptionsOffset) & OptionSynData) != 0;

    /// <summary>True when a SYN with data had no answer and one without had: something on the path drops them, at the price of a second.</summary>
    public static bool WasDropped(Socket socket) => ((Info(socket, FailureOffset) >> 1) & 3) == SynRetransmitted;

    private static bool TrySet(Socket socket, int option, int value)
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        try
        {
            socket.SetRawSocketOption(Tcp, option, BitConverter.GetBytes(value));
            return true;
        }
        catch (SocketException)
        {
            return false; // An older kernel, or one built without.
        }
    }

    private static byte Info(Socket socket, int offset)
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        Span<byte> info = stackalloc byte[64];
        info.Clear();
        try
        {
            _ = socket.GetRawSocketOption(Tcp, TcpInfo, info);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            return 0;
        }

        return info[offset];
    }
}
