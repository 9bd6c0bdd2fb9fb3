namespace Cleave.Protocol.Wan;

/// <summary>The link a <see cref="WanEmulator"/> imitates. Up is from the connecting side to the target.</summary>
public sealed record WanOptions
{
    /// <summary>Round-trip time; half of it is spent in each direction.</summary>
    public TimeSpan Rtt { get; init; }

    /// <summary>Bits per second towards the target; 0 for no limit.</summary>
    public double UpBitsPerSecond { get; init; }

    /// <summary>Bits per second from the target; 0 for no limit.</summary>
    public double DownBitsPerSecond { get; init; }

    /// <summary>
    /// Spread of the round trip: each direction adds a delay drawn uniformly from ±Jitter/2, so that a round trip lies
    /// within Rtt ± Jitter. Order is kept: bytes never overtake earlier ones, which raises the mean of a dense stream.
    /// </summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Interruptions, by the emulator's own clock.</summary>
    public IReadOnlyList<WanCut> Cuts { get; init; } = [];

    /// <summary>Seed of the jitter.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Connections served at once; more are refused.</summary>
    public int MaxConnections { get; init; } = 64;

    /// <summary>Reads <c>80ms</c>, <c>80ms,20mbit</c> (up) or <c>80ms,20mbit,100mbit</c> (up, down).</summary>
    /// <exception cref="FormatException">With the part at fault.</exception>
    public static WanOptions Parse(string? text)
    {
        string[] parts = (text ?? "").Split(',');
        if (parts.Length > 3)
        {
            throw new FormatException($"'{text}' has {parts.Length} parts: write RTT[,UP[,DOWN]], such as 80ms,20mbit,100mbit");
        }

        return new WanOptions
        {
            Rtt = DurationText.Parse(parts[0]),
            UpBitsPerSecond = parts.Length > 1 ? BandwidthText.Parse(parts[1]) : 0,
            DownBitsPerSecond = parts.Length > 2 ? BandwidthText.Parse(parts[2]) : 0,
        };
    }
}
