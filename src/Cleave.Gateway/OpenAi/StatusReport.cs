namespace Cleave.Gateway.OpenAi;

/// <summary>The answer to /cleave/status: what the page shows beside a chat.</summary>
internal sealed record StatusReport
{
    public required string Model { get; init; }

    public required int Layers { get; init; }

    public required int HiddenSize { get; init; }

    public required int ContextTokens { get; init; }

    /// <summary>Layers at either end on this side; null when unsplit.</summary>
    public int? Head { get; init; }

    public int? Tail { get; init; }

    public string? Worker { get; init; }

    public string? Wire { get; init; }

    /// <summary>Bytes of one row on the wire, each way.</summary>
    public int? RowBytes { get; init; }

    public required string Decoder { get; init; }

    public double? RttMs { get; init; }

    public required string PrivacyVerdict { get; init; }

    /// <summary>"ok" or "lost".</summary>
    public required string WorkerState { get; init; }

    public required int Conversations { get; init; }

    public required int Waiting { get; init; }
}
