using Cleave.Protocol;

namespace Cleave.Inference.Tests.Survival;

/// <summary>What hostile workers say of themselves, in tests and under the fuzzer.</summary>
internal static class HostileWorker
{
    /// <summary>Numbers per row.</summary>
    public const int HiddenSize = 4;

    /// <summary>Layer 1 of a model this small.</summary>
    public static WorkerDescription Description { get; } = new()
    {
        MinVersion = ProtocolVersion.Lowest,
        MaxVersion = ProtocolVersion.Highest,
        ModelName = "hostile",
        Architecture = "llama",
        LayerStart = 1,
        LayerEnd = 2,
        HiddenSize = HiddenSize,
        LayerHashes = [new string('0', 64)],
        WireTypes = [WireType.F32],
        KernelFingerprint = "hostile",
        Limits = new WorkerLimits
        {
            MaxRowsPerStep = 16,
            MaxFrameBytes = 4096,
            MaxFramesInFlight = 4,
            MaxKvTokensPerSession = 64,
            MaxKvTokensPerTenant = 64,
            MaxSessionsPerTenant = 1,
            MaxRowsPerSecond = 1000,
            IdleSeconds = 60,
        },
        Load = new WorkerLoad { Sessions = 0, QueuedRows = 0, KvTokensUsed = 0, KvTokensTotal = 64 },
        Notices = [],
    };
}
