using System.Diagnostics;

namespace Cleave.Protocol.Wan;

/// <summary>
/// One direction of the emulated link, shared by all its connections: decides when bytes that enter now come out.
/// Bandwidth is a token bucket of depth zero: each byte pays for its own time on the wire, as on a serial link, and
/// connections share it first come, first served.
/// </summary>
internal sealed class WanDirection
{
    private readonly Lock _gate = new();
    private readonly Random _random;
    private readonly double _ticksPerByte;
    private readonly double _jitterTicks;
    private readonly long _delayTicks;
    private long _wireFreeAt;
    private long _stalledUntil;

    public WanDirection(TimeSpan oneWay, TimeSpan jitter, double bitsPerSecond, int seed)
    {
        _random = new Random(seed);
        _delayTicks = Ticks(oneWay);
        _jitterTicks = jitter.TotalSeconds * Stopwatch.Frequency;
        _ticksPerByte = bitsPerSecond > 0 ? 8 / bitsPerSecond * Stopwatch.Frequency : 0;

        // What a long fat pipe holds, and a home router's queue before it; with no limit, some hundreds of MB/s at 80 ms.
        const int RouterQueueBytes = 256 << 10;
        const int UnlimitedBytes = 32 << 20;
        CapacityBytes = bitsPerSecond > 0
            ? (int)Math.Min(UnlimitedBytes, (bitsPerSecond / 8 * (oneWay + jitter).TotalSeconds) + RouterQueueBytes)
            : UnlimitedBytes;
    }

    /// <summary>Bytes a connection may have under way before its sender is held back.</summary>
    public int CapacityBytes { get; }

    /// <summary>Timestamp before which nothing is delivered.</summary>
    public long StalledUntil => Volatile.Read(ref _stalledUntil);

    /// <summary>Holds back all deliveries until <paramref name="timestamp"/>.</summary>
    public void Stall(long timestamp) => Volatile.Write(ref _stalledUntil, Math.Max(StalledUntil, timestamp));

    /// <summary>When <paramref name="bytes"/> that entered at <paramref name="now"/> have come out at the other end.</summary>
    public long Schedule(long now, int bytes)
    {
        lock (_gate)
        {
            _wireFreeAt = Math.Max(_wireFreeAt, now) + (long)(bytes * _ticksPerByte);
            long jitter = _jitterTicks > 0 ? (long)((_random.NextDouble() - 0.5) * _jitterTicks) : 0;
            return _wireFreeAt + Math.Max(0, _delayTicks + jitter);
        }
    }

    internal static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);
}
