namespace Cleave.Endurance.Load;

/// <summary>What a load run does.</summary>
internal sealed record LoadOptions
{
    /// <summary>How long the sessions work.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>Sessions at once, over all tenants.</summary>
    public int Sessions { get; init; } = 64;

    /// <summary>Tenants, each with a token and an emulated link of its own.</summary>
    public int Tenants { get; init; } = 8;

    /// <summary>Mean time between two cuts, over all links.</summary>
    public TimeSpan MeanCutInterval { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Round trip of every link.</summary>
    public TimeSpan Rtt { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Time between two readings of memory and descriptors.</summary>
    public TimeSpan SampleInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Model of both sides.</summary>
    public required string Model { get; init; }

    /// <summary>Seed of the cuts.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>File of the report, beside which the samples are written as CSV; null prints it only.</summary>
    public string? Out { get; init; }
}
