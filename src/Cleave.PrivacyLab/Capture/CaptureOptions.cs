using Cleave.Protocol;

namespace Cleave.PrivacyLab.Capture;

/// <summary>What is run to be watched.</summary>
public sealed record CaptureOptions
{
    /// <summary>Activations on the wire.</summary>
    public WireType Wire { get; init; } = WireType.F32;

    /// <summary>Most tokens of a document, BOS included.</summary>
    public int PromptTokens { get; init; } = 112;

    /// <summary>Tokens generated after it; 0 sends the prompt alone.</summary>
    public int OutputTokens { get; init; }

    /// <summary>Decoder of the generation; all but "sequential" send guesses as well.</summary>
    public string Decoder { get; init; } = "suffix";

    /// <summary>Path probability under which a guess is not sent. Fixed, so that what is sent does not depend on timing.</summary>
    public double Threshold { get; init; } = 0.05;
}
