using System.Reflection;
using System.Runtime.InteropServices;
using Cleave.Cli.Running;

namespace Cleave.Cli.Benchmarking;

/// <summary>What <c>cleave bench --json</c> prints.</summary>
internal sealed record BenchReport
{
    public required BenchEnvironment Environment { get; init; }
    public required string Suite { get; init; }
    public required IReadOnlyList<BenchRun> Runs { get; init; }

    /// <summary>How well a line through a decoder's other round-trip times predicts each one left out; empty without at least three.</summary>
    public required IReadOnlyList<RttFit> RttModel { get; init; }

    /// <summary>The optimisation ladder; empty unless the suite climbs it.</summary>
    public required IReadOnlyList<LadderRung> Ladder { get; init; }

    /// <summary>Tokens per second of the unsplit model on this machine, one token at a time; 0 unless the suite measures it.</summary>
    public double LocalOnlyTokensPerSecond { get; init; }

    /// <summary>The identity battery; empty unless that is the suite.</summary>
    public IReadOnlyList<IdentityResult> Identity { get; init; } = [];

    /// <summary>Many sessions at once; empty unless that is the suite.</summary>
    public IReadOnlyList<SessionsResult> Sessions { get; init; } = [];
}

/// <summary>Where a benchmark ran.</summary>
internal sealed record BenchEnvironment
{
    public required string Machine { get; init; }
    public required int Processors { get; init; }
    public required string Runtime { get; init; }
    public required string Version { get; init; }
    public required string Model { get; init; }
    public required string KernelFingerprint { get; init; }
    public required string Wire { get; init; }
    public required string Cut { get; init; }
    public required DateTimeOffset At { get; init; }

    /// <summary>This machine, and the model <paramref name="host"/> runs.</summary>
    public static BenchEnvironment Of(SplitHost host, SplitSettings settings) => new()
    {
        Machine = RuntimeInformation.OSArchitecture + " " + RuntimeInformation.OSDescription,
        Processors = System.Environment.ProcessorCount,
        Runtime = RuntimeInformation.FrameworkDescription,
        Version = typeof(BenchEnvironment).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
        Model = Path.GetFileName(settings.ModelPath),
        KernelFingerprint = host.Model.Device.Fingerprint,
        Wire = settings.Wire.ToString(),
        Cut = settings.Cut is { } cut ? $"{cut.Head}+{cut.Tail}" : "unsplit",
        At = DateTimeOffset.UtcNow,
    };
}
