namespace Cleave.PrivacyLab.Capture;

/// <summary>A TLS record as it passes on the network.</summary>
/// <param name="AtMs">When its last byte passed, milliseconds since the session began.</param>
/// <param name="IsUp">True towards the worker.</param>
/// <param name="Bytes">Its size, header included.</param>
public readonly record struct TrafficRecord(double AtMs, bool IsUp, int Bytes);

/// <summary>All that the network sees of one session.</summary>
/// <param name="Records">In the order they passed.</param>
public sealed record TrafficTrace(IReadOnlyList<TrafficRecord> Records)
{
    /// <summary>Bytes towards the worker.</summary>
    public long BytesUp => Records.Sum(static r => r.IsUp ? (long)r.Bytes : 0);

    /// <summary>Bytes back.</summary>
    public long BytesDown => Records.Sum(static r => r.IsUp ? 0 : (long)r.Bytes);
}
