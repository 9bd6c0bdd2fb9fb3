using Cleave.Protocol.Wan;

namespace Cleave.Cli.Benchmarking;

/// <summary>An emulated link.</summary>
/// <param name="RttMs">Round trip added, in milliseconds.</param>
/// <param name="UpMbit">Bandwidth towards the worker in Mbit/s.</param>
/// <param name="DownMbit">Bandwidth back.</param>
internal sealed record BenchLink(double RttMs, double UpMbit = 100, double DownMbit = 100)
{
    /// <summary>For the emulator.</summary>
    public WanOptions Options => new()
    {
        Rtt = TimeSpan.FromMilliseconds(RttMs),
        UpBitsPerSecond = UpMbit * 1e6,
        DownBitsPerSecond = DownMbit * 1e6,
    };

    /// <inheritdoc />
    public override string ToString() => FormattableString.Invariant($"{RttMs:0} ms, {UpMbit:0}/{DownMbit:0} Mbit/s");
}
