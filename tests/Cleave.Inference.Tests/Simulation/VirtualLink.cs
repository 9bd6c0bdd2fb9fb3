namespace Cleave.Inference.Tests.Simulation;

/// <summary>A link: half the round trip each way, a rate each way, jitter, and now and then a stall. Order is kept, as on a TCP stream.</summary>
internal sealed record VirtualLink
{
    public double RttMs { get; init; } = 80;

    public double UpMbit { get; init; } = 100;

    public double DownMbit { get; init; } = 100;

    /// <summary>Bytes of one row on the wire.</summary>
    public int RowBytes { get; init; } = 784;

    /// <summary>Bytes of a frame without rows.</summary>
    public int FrameBytes { get; init; } = 80;

    /// <summary>Up to this much more delay, uniformly, each way.</summary>
    public double JitterMs { get; init; }

    /// <summary>Probability of a stall at a frame, and its length.</summary>
    public double StallProbability { get; init; }

    public double StallMs { get; init; } = 2000;

    public double UpMs(int rows) => (FrameBytes + (rows * RowBytes)) * 8 / (UpMbit * 1000);

    public double DownMs(int rows) => (FrameBytes + (rows * RowBytes)) * 8 / (DownMbit * 1000);
}
