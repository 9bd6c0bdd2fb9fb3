namespace Cleave.Cli.Planning;

/// <summary>What a decoder did at one round-trip time.</summary>
internal readonly record struct ThroughputPoint(double RttMs, double TokensPerSecond, double TokensPerTrip)
{
    /// <summary>Time of a round trip that something waited for.</summary>
    public double TripMs => 1000 * TokensPerTrip / TokensPerSecond;
}
