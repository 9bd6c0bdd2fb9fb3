using System.Text.Json;
using Cleave.Gateway.Generation;
using Cleave.Gateway.Hosting;

namespace Cleave.Gateway.OpenAi;

/// <summary>Answers as chat completions.</summary>
internal sealed class ChatShape(ServedModel model, string id, long created, bool withLogprobs) : ICompletionShape
{
    private readonly List<ChatChoice> _choices = [];

    /// <inheritdoc />
    public Task SendPieceAsync(SseStream events, int index, AnswerPiece piece, bool isFirst, SplitReport? report, CancellationToken cancellationToken) =>
        SendAsync(
            events,
            new ChatChoice { Index = index, Delta = new AssistantDelta(isFirst ? "assistant" : null, piece.Text), Logprobs = Logprobs(piece.Tokens) },
            report,
            cancellationToken);

    /// <inheritdoc />
    public Task SendFinishAsync(SseStream events, int index, string reason, SplitReport? report, CancellationToken cancellationToken) =>
        SendAsync(events, new ChatChoice { Index = index, Delta = new AssistantDelta(), FinishReason = reason }, report, cancellationToken);

    /// <inheritdoc />
    public Task SendAsideAsync(SseStream events, Usage? usage, SplitReport? report, CancellationToken cancellationToken) =>
        events.SendAsync(Completion("chat.completion.chunk", []) with { Usage = usage, Cleave = report }, ApiJson.Default.ChatCompletion, cancellationToken);

    /// <inheritdoc />
    public void Add(int index, string text, IReadOnlyList<AnswerToken> tokens, string reason) => _choices.Add(new ChatChoice
    {
        Index = index,
        Message = new AssistantMessage("assistant", text),
        Logprobs = Logprobs(tokens),
        FinishReason = reason,
    });

    /// <inheritdoc />
    public Task WriteAsync(Stream body, Usage usage, SplitReport? report, CancellationToken cancellationToken) => JsonSerializer.SerializeAsync(
        body, Completion("chat.completion", _choices) with { Usage = usage, Cleave = report }, ApiJson.Default.ChatCompletion, cancellationToken);

    private Task SendAsync(SseStream events, ChatChoice choice, SplitReport? report, CancellationToken cancellationToken) =>
        events.SendAsync(Completion("chat.completion.chunk", [choice]) with { Cleave = report }, ApiJson.Default.ChatCompletion, cancellationToken);

    private ChatCompletion Completion(string kind, IReadOnlyList<ChatChoice> choices) => new()
    {
        Id = id,
        Object = kind,
        Created = created,
        Model = model.Name,
        SystemFingerprint = model.Fingerprint,
        Choices = choices,
    };

    private ChatLogprobs? Logprobs(IReadOnlyList<AnswerToken> tokens) => withLogprobs
        ? new ChatLogprobs([.. tokens.Select(token => Logprob(token.Id, token.LogProbability, [.. token.Top!.Select(top => Logprob(top.Id, top.LogProbability, null))]))])
        : null;

    private TokenLogprob Logprob(int token, double value, IReadOnlyList<TokenLogprob>? top) =>
        new(model.Tokenizer.TokenText(token), value, [.. model.Tokenizer.TokenBytes(token).ToArray().Select(static b => (int)b)], top);
}
