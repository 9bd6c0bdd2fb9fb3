namespace Cleave.PrivacyLab.Attacks;

/// <summary>How candidates are tried and when one is taken.</summary>
public sealed record MatchOptions
{
    /// <summary>
    /// True when the head is known exactly: a candidate is taken when its state equals the one seen, bit for bit after the wire. False when
    /// it is known up to noise or a private tuning: the proposals are all tried and the nearest is taken.
    /// </summary>
    public bool Exact { get; init; } = true;

    /// <summary>What every session starts with (BOS, from the chat template), or null.</summary>
    public int? FirstToken { get; init; }

    /// <summary>Proposals of the probe tried first.</summary>
    public int ProbeFirst { get; init; } = 4;

    /// <summary>Proposals of the language model tried next.</summary>
    public int LanguageModel { get; init; } = 28;

    /// <summary>Proposals of the probe tried after those.</summary>
    public int ProbeSecond { get; init; } = 60;

    /// <summary>Candidates in one pass over the rest of the vocabulary.</summary>
    public int VocabularyBatch { get; init; } = 512;

    /// <summary>Sessions attacked side by side.</summary>
    public int Lanes { get; init; } = 32;
}
