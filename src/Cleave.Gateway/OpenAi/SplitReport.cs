namespace Cleave.Gateway.OpenAi;

/// <summary>
/// What the split does, beside the text: an extension field "cleave" of events, sent only to callers who ask for it with
/// "cleave": {"stats": true}. Fields are absent where they say nothing.
/// </summary>
internal sealed record SplitReport
{
    /// <summary>Prompt rows answered, of those to send.</summary>
    public PrefillReport? Prefill { get; init; }

    /// <summary>What happened to the link.</summary>
    public LinkReport? Link { get; init; }

    /// <summary>The tokens of the event's text, in order.</summary>
    public IReadOnlyList<TokenReport>? Tokens { get; init; }

    /// <summary>The round trip that brought them.</summary>
    public StepReport? Step { get; init; }

    /// <summary>The whole answer, with its last event.</summary>
    public AnswerReport? Answer { get; init; }
}

/// <summary>Prompt progress.</summary>
internal sealed record PrefillReport(int Done, int Total);

/// <summary>A loss or a recovery: "link_lost", "resumed", "replaying", "replayed", "identity_not_promised", and a sentence.</summary>
internal sealed record LinkReport(string State, string Message);

/// <summary>A token: its text, and whether a draft had guessed it.</summary>
internal sealed record TokenReport(string Text, bool Drafted);

/// <summary>One round trip.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Rows">Rows sent.</param>
/// <param name="Tokens">Tokens it made certain.</param>
/// <param name="Ms">How long it took.</param>
/// <param name="BytesUp">Frame bytes of the answer so far, its prompt included.</param>
/// <param name="BytesDown">Likewise.</param>
internal sealed record StepReport(int Number, int Rows, int Tokens, double Ms, long BytesUp, long BytesDown);

/// <summary>What an answer took.</summary>
internal sealed record AnswerReport
{
    public required string Seed { get; init; }

    public required string Decoder { get; init; }

    public required double RttMs { get; init; }

    /// <summary>Who guessed: what "auto" mixed, and how it went.</summary>
    public required IReadOnlyList<DrafterReport> Drafters { get; init; }

    public required int PromptTokens { get; init; }

    public required int ReusedTokens { get; init; }

    public required int Tokens { get; init; }

    public required int RoundTrips { get; init; }

    public required double TokensPerRoundTrip { get; init; }

    public required double TokensPerSecond { get; init; }

    public required double TimeToFirstTokenMs { get; init; }

    public required long Proposed { get; init; }

    public required long Accepted { get; init; }

    public required long BytesUp { get; init; }

    public required long BytesDown { get; init; }

    public required TimingReport TimingMs { get; init; }
}

/// <summary>A drafter: guesses that a verdict decided, and those that were right.</summary>
internal sealed record DrafterReport(string Name, long Proposed, long Accepted);

/// <summary>Where the time went, in milliseconds.</summary>
internal sealed record TimingReport(double Network, double Head, double Middle, double Tail, double Draft, double Codec);
