namespace Cleave.Inference.Sampling;

/// <summary>How a token is chosen from logits. The defaults are greedy.</summary>
public sealed record SamplingOptions
{
    /// <summary>0 is greedy; otherwise logits are divided by it.</summary>
    public double Temperature { get; init; }

    /// <summary>0, or how many of the most likely tokens remain.</summary>
    public int TopK { get; init; }

    /// <summary>Smallest set of most likely tokens whose mass reaches this; 1 keeps all.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Tokens less likely than this share of the most likely one are dropped; 0 keeps all.</summary>
    public double MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens seen in prompt or output (Keskar et al. 2019, arXiv 1909.05858); 1 is none.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted once per earlier occurrence in the output (OpenAI API); 0 is none.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Subtracted from tokens that occur in the output (OpenAI API); 0 is none.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Key of the noise; the same seed gives the same text.</summary>
    public ulong Seed { get; init; }

    /// <summary>Which of several answers to one prompt this is; keys the noise as well.</summary>
    public int Choice { get; init; }

    /// <summary>True when no noise is drawn.</summary>
    public bool IsGreedy => Temperature <= 0;

    /// <summary>True when earlier tokens change the logits.</summary>
    public bool HasPenalties => RepetitionPenalty != 1 || FrequencyPenalty != 0 || PresencePenalty != 0;

    /// <summary>Null, or one sentence that names the option out of range.</summary>
    public string? Validate() =>
        !(Temperature is >= 0 and <= 100) ? $"temperature is {Temperature}; it goes from 0 (greedy) to 100"
        : TopK < 0 ? $"top-k is {TopK}; it is 0 (off) or more"
        : !(TopP is > 0 and <= 1) ? $"top-p is {TopP}; it is above 0 and at most 1"
        : !(MinP is >= 0 and <= 1) ? $"min-p is {MinP}; it goes from 0 to 1"
        : !(RepetitionPenalty is > 0 and <= 100) ? $"repetition penalty is {RepetitionPenalty}; it is above 0 and at most 100 (1 is none)"
        : !(Math.Abs(FrequencyPenalty) <= 100) ? $"frequency penalty is {FrequencyPenalty}; it goes from -100 to 100"
        : !(Math.Abs(PresencePenalty) <= 100) ? $"presence penalty is {PresencePenalty}; it goes from -100 to 100"
        : null;
}
