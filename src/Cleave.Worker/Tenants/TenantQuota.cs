namespace Cleave.Worker.Tenants;

/// <summary>What one tenant may use at once.</summary>
public sealed record TenantQuota
{
    /// <summary>Open sessions, resumable ones included.</summary>
    public int Sessions { get; init; } = 16;

    /// <summary>Streams at once.</summary>
    public int Streams { get; init; } = 16;

    /// <summary>TCP connections at once.</summary>
    public int Connections { get; init; } = 32;

    /// <summary>Rows held in caches, over all sessions; a fork's shared rows count for each session.</summary>
    public int KvTokens { get; init; } = int.MaxValue;

    /// <summary>Rows computed per second; more wait their turn.</summary>
    public int RowsPerSecond { get; init; } = int.MaxValue;
}
