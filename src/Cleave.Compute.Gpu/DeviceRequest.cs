namespace Cleave.Compute.Gpu;

/// <summary>Which device is wanted, and for what.</summary>
public sealed record DeviceRequest
{
    /// <summary>Its name on the command line (<see cref="DeviceSelector.Syntax"/>); null or empty is auto.</summary>
    public string? Name { get; init; }

    /// <summary>Device memory that what is to be loaded takes, all in all; 0 when it is not known.</summary>
    public long NeededBytes { get; init; }

    /// <summary>Leaves embeddings of a GPU in host memory, from which a step uploads the few rows it needs.</summary>
    public bool EmbeddingOnHost { get; init; } = true;

    /// <summary>Threads of a CPU device; null takes its default.</summary>
    public int? CpuThreads { get; init; }

    /// <summary>Keeps a CPU's BF16 matrices packed (<see cref="CpuDevice.PacksBF16"/>); a GPU keeps them as they are stored.</summary>
    public bool PackBF16 { get; init; }

    /// <summary>Says what would fit into the bytes given, for the message when too little memory is free; or null.</summary>
    public Func<long, string>? Advise { get; init; }
}
