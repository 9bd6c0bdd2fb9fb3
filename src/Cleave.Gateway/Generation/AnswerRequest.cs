using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;

namespace Cleave.Gateway.Generation;

/// <summary>One answer asked for.</summary>
internal sealed record AnswerRequest
{
    /// <summary>Prompt ids, BOS included where the model wants it.</summary>
    public required ReadOnlyMemory<int> Prompt { get; init; }

    /// <summary>How tokens are chosen.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>Most tokens generated.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Texts that end the answer and are not part of it.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Restricts tokens, or null.</summary>
    public ITokenMask? Mask { get; init; }

    /// <summary>Most likely tokens to report with each token; null reports no log probabilities at all.</summary>
    public int? TopLogProbabilities { get; init; }

    /// <summary>Most rows in a step; null leaves it to the decoder.</summary>
    public int? MaxRowsPerStep { get; init; }

    /// <summary>Told of losses and recoveries of the link, or null.</summary>
    public Action<SessionEvent>? Events { get; init; }

    /// <summary>Prompt tokens answered so far, or null.</summary>
    public IProgress<int>? PrefillProgress { get; init; }
}
