namespace Cleave.Protocol;

/// <summary>What a worker says of itself in answer to Describe (JSON on the wire). Self-reported: it catches mistakes, not malice.</summary>
public sealed record WorkerDescription
{
    public required ushort MinVersion { get; init; }
    public required ushort MaxVersion { get; init; }
    public required string ModelName { get; init; }
    public required string Architecture { get; init; }
    public required int LayerStart { get; init; }
    public required int LayerEnd { get; init; }
    public required int HiddenSize { get; init; }

    /// <summary>Lower-case hexadecimal SHA-256 of each layer in the range (see docs/PROTOCOL.md, "Layer hash").</summary>
    public required IReadOnlyList<string> LayerHashes { get; init; }

    public required IReadOnlyList<WireType> WireTypes { get; init; }
    public required string KernelFingerprint { get; init; }
    public required WorkerLimits Limits { get; init; }
    public required WorkerLoad Load { get; init; }

    /// <summary>True when it may pass rows on to other workers, to some at least.</summary>
    public bool Forwards { get; init; }

    /// <summary>Remarks for the user, such as "this worker's file contains the embedding".</summary>
    public IReadOnlyList<string> Notices { get; init; } = [];
}

/// <summary>Caps in force for the asking tenant.</summary>
public sealed record WorkerLimits
{
    public int MaxRowsPerStep { get; init; }
    public int MaxFrameBytes { get; init; }
    public int MaxFramesInFlight { get; init; }
    public int MaxKvTokensPerSession { get; init; }
    public int MaxKvTokensPerTenant { get; init; }
    public int MaxSessionsPerTenant { get; init; }
    public int MaxRowsPerSecond { get; init; }
    public int IdleSeconds { get; init; }
}

/// <summary>How busy the worker is.</summary>
public sealed record WorkerLoad
{
    public int Sessions { get; init; }
    public int QueuedRows { get; init; }
    public int KvTokensUsed { get; init; }
    public int KvTokensTotal { get; init; }
}
