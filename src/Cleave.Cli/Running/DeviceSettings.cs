using Cleave.Compute;

namespace Cleave.Cli.Running;

/// <summary>Where to compute. Names are those of the command line; null is auto.</summary>
internal sealed record DeviceSettings
{
    /// <summary>Device of head and tail.</summary>
    public string? Device { get; init; }

    /// <summary>Device of the draft model.</summary>
    public string? DraftDevice { get; init; }

    /// <summary>Device of a worker process started here.</summary>
    public string? WorkerDevice { get; init; }

    /// <summary>Storage of keys and values, here and in a worker started here; null takes each device's preference.</summary>
    public ElementType? KvType { get; init; }

    /// <summary>Leaves a GPU's embedding in host memory.</summary>
    public bool EmbeddingOnHost { get; init; } = true;
}
