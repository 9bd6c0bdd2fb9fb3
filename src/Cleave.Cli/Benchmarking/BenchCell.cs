using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Cli.Benchmarking;

/// <summary>One measurement: a decoder on one kind of prompt over one link.</summary>
internal sealed record BenchCell
{
    /// <summary>Decoder name in the catalogue.</summary>
    public required string Decoder { get; init; }

    /// <summary>Kind of prompt, or "all" for the four kinds of the paper together.</summary>
    public required string Kind { get; init; }

    /// <summary>The link.</summary>
    public required BenchLink Link { get; init; }

    /// <summary>Times the suite's prompts of each kind: more where a round trip brings many tokens, so that there are as many of them.</summary>
    public int Samples { get; init; } = 1;

    /// <summary>The paper's n-gram size (key of one token), 0 when the decoder has its own setting.</summary>
    public int NgramSize { get; init; }

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Settings of the drafter.</summary>
    public DrafterContext Apply(DrafterContext context) => NgramSize == 0
        ? context
        : context with { NgramMinKey = 1, NgramMaxKey = 1, NgramChain = NgramSize - 1 };
}
