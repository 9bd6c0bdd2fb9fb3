using Cleave.Gateway.Generation;

namespace Cleave.Gateway.OpenAi;

/// <summary>How answers look: as a chat completion, or as a plain one.</summary>
internal interface ICompletionShape
{
    /// <summary>Sends a piece of an answer as an event. A first piece may be empty.</summary>
    Task SendPieceAsync(SseStream events, int index, AnswerPiece piece, bool isFirst, SplitReport? report, CancellationToken cancellationToken);

    /// <summary>Sends the event that ends an answer.</summary>
    Task SendFinishAsync(SseStream events, int index, string reason, SplitReport? report, CancellationToken cancellationToken);

    /// <summary>Sends an event without an answer: usage counts, or prompt progress.</summary>
    Task SendAsideAsync(SseStream events, Usage? usage, SplitReport? report, CancellationToken cancellationToken);

    /// <summary>Keeps an answer for <see cref="WriteAsync"/>.</summary>
    void Add(int index, string text, IReadOnlyList<AnswerToken> tokens, string reason);

    /// <summary>Writes all answers kept as one JSON object.</summary>
    Task WriteAsync(Stream body, Usage usage, SplitReport? report, CancellationToken cancellationToken);
}
