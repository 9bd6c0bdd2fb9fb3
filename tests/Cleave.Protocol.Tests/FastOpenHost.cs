namespace Cleave.Protocol.Tests;

/// <summary>Whether this machine's system lets servers take data with a SYN: tests hold in both cases, with the round trips of theirs.</summary>
internal static class FastOpenHost
{
    private const string Setting = "/proc/sys/net/ipv4/tcp_fastopen";

    /// <summary>Client and server: bits 1 and 2.</summary>
    public static bool Serves { get; } = File.Exists(Setting) && (int.Parse(File.ReadAllText(Setting), System.Globalization.CultureInfo.InvariantCulture) & 3) == 3;
}
