using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Cli.Benchmarking;

/// <summary>What each suite measures.</summary>
internal sealed record BenchSuite
{
    /// <summary>The paper's kinds of text.</summary>
    public static IReadOnlyList<string> PaperKinds { get; } = ["code", "structured", "creative", "conversational"];

    /// <summary>Those, and text that repeats its prompt.</summary>
    public static IReadOnlyList<string> Kinds { get; } = [.. PaperKinds, "repeat"];

    /// <summary>Suite names.</summary>
    public static IReadOnlyList<string> Names { get; } = ["quick", "speed", "ablation", "rtt", "bandwidth", "ladder", "all", "identity", "identity-quick", "sessions"];

    /// <summary>Measurements, in order.</summary>
    public required IReadOnlyList<BenchCell> Cells { get; init; }

    /// <summary>Prompts of each kind.</summary>
    public required int PromptsPerKind { get; init; }

    /// <summary>Tokens per prompt.</summary>
    public required int Tokens { get; init; }

    /// <summary>Times every cell is measured; the median is reported.</summary>
    public int Repeats { get; init; } = 1;

    /// <summary>True when unsplit inference on this machine is measured too.</summary>
    public bool LocalOnly { get; init; }

    /// <summary>Decoders put to the identity test; empty unless that is the suite.</summary>
    public IReadOnlyList<string> IdentityOf { get; init; } = [];

    /// <summary>Decoders run by many sessions at once; empty unless that is the suite.</summary>
    public IReadOnlyList<string> SessionsOf { get; init; } = [];

    /// <summary>How many of them.</summary>
    public int Sessions { get; init; } = 16;

    /// <summary>How tokens are chosen where there are no cells.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>True when the identity test goes on over a link that stalls and breaks.</summary>
    public bool BadLink { get; init; }

    /// <summary>True when the optimisation ladder is climbed too.</summary>
    public bool Ladder { get; init; }

    /// <summary>A suite by name.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="decoders">Decoders to measure besides sequential; null: those of the suite.</param>
    /// <param name="sampling">How tokens are chosen.</param>
    /// <param name="links">Links to measure over; null: those of the suite.</param>
    public static BenchSuite Named(string name, IReadOnlyList<string>? decoders, SamplingOptions sampling, IReadOnlyList<BenchLink>? links = null)
    {
        IReadOnlyList<BenchLink> at80 = links ?? [new BenchLink(80)];
        string[] every = [.. decoders ?? [.. DecoderCatalog.Names.Where(static d => d != "sequential")]];
        string[] with = ["sequential", .. every];
        string[] principal = ["sequential", .. decoders ?? [DecoderCatalog.Best]];
        IEnumerable<BenchCell> Grid(IEnumerable<string> names, IEnumerable<string> kinds, IEnumerable<BenchLink> links) =>
            from link in links
            from kind in kinds
            from decoder in names
            select new BenchCell { Decoder = decoder, Kind = kind, Link = link, Sampling = sampling };

        return name switch
        {
            "quick" => new BenchSuite { Cells = [.. Grid(principal, Kinds, at80)], PromptsPerKind = 2, Tokens = 32 },
            "speed" => new BenchSuite { Cells = [.. Grid(principal, Kinds, at80)], PromptsPerKind = 10, Tokens = 48, Repeats = 5 },
            "ablation" => new BenchSuite
            {
                Cells =
                [
                    .. Grid(with, Kinds, at80),
                    .. from size in Enumerable.Range(3, 5)
                       from kind in PaperKinds
                       from link in at80
                       select new BenchCell { Decoder = "ngram", NgramSize = size, Kind = kind, Link = link, Sampling = sampling },
                ],
                PromptsPerKind = 10,
                Tokens = 64,
                LocalOnly = true,
            },
            // A point takes some 150 to 400 round trips, so that their tokens stand for the decoder and not for chance: three times the prompts
            // where a draft model makes trips few.
            "rtt" => new BenchSuite
            {
                Cells =
                [
                    .. from cell in Grid(with, ["all"], links ?? [.. from rtt in new double[] { 20, 40, 80, 120, 150, 200 } select new BenchLink(rtt)])
                       select cell with { Samples = DecoderCatalog.UsesDraftModel(cell.Decoder) ? 3 : 1 },
                ],
                PromptsPerKind = 2,
                Tokens = 48,
            },
            "bandwidth" => new BenchSuite
            {
                Cells = [.. Grid(principal, ["all", "repeat"], links ?? [.. from mbit in new double[] { 5, 20, 50, 100, 1000 } select new BenchLink(80, mbit, mbit)])],
                PromptsPerKind = 3,
                Tokens = 48,
            },
            "ladder" => new BenchSuite { Cells = [.. Grid(with, ["all"], at80)], PromptsPerKind = 2, Tokens = 48, Ladder = true },
            "identity" => new BenchSuite { Cells = [], IdentityOf = every, PromptsPerKind = 10, Tokens = 32, BadLink = true },
            "identity-quick" => new BenchSuite { Cells = [], IdentityOf = every, PromptsPerKind = 5, Tokens = 8 },
            "sessions" => new BenchSuite { Cells = [], SessionsOf = ["sequential", .. decoders ?? []], Sampling = sampling, PromptsPerKind = 4, Tokens = 64, Repeats = 3 },
            "all" => Join(Named("ablation", decoders, sampling, links), Named("rtt", decoders, sampling, links), Named("bandwidth", decoders, sampling, links)),
            _ => throw new CliException($"there is no suite '{name}'; the suites are {string.Join(", ", Names)}"),
        };
    }

    private static BenchSuite Join(params BenchSuite[] suites) => new()
    {
        Cells = [.. suites.SelectMany(static s => s.Cells).Distinct()],
        PromptsPerKind = suites.Max(static s => s.PromptsPerKind),
        Tokens = suites.Max(static s => s.Tokens),
        Ladder = true,
        LocalOnly = suites.Any(static s => s.LocalOnly),
    };
}
