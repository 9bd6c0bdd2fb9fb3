using System.Text.Json;
using Cleave.Gateway.Generation;
using Cleave.Gateway.Hosting;

namespace Cleave.Gateway.OpenAi;

/// <summary>Answers as plain completions.</summary>
/// <param name="model">What answers.</param>
/// <param name="id">The response's id.</param>
/// <param name="created">Unix seconds.</param>
/// <param name="withLogprobs">True to report log probabilities.</param>
/// <param name="echoes">Text before each answer, by choice index; null for none.</param>
internal sealed class TextShape(ServedModel model, string id, long created, bool withLogprobs, IReadOnlyList<string>? echoes) : ICompletionShape
{
    private readonly List<TextChoice> _choices = [];
    private readonly Dictionary<int, int> _offsets = [];

    /// <inheritdoc />
    public Task SendPieceAsync(SseStream events, int index, AnswerPiece piece, bool isFirst, SplitReport? report, CancellationToken cancellationToken) =>
        SendAsync(
            events,
            new TextChoice { Index = index, Text = isFirst && echoes is not null ? echoes[index] + piece.Text : piece.Text, Logprobs = Logprobs(index, piece.Tokens) },
            report,
            cancellationToken);

    /// <inheritdoc />
    public Task SendFinishAsync(SseStream events, int index, string reason, SplitReport? report, CancellationToken cancellationToken) =>
        SendAsync(events, new TextChoice { Index = index, Text = "", FinishReason = reason }, report, cancellationToken);

    /// <inheritdoc />
    public Task SendAsideAsync(SseStream events, Usage? usage, SplitReport? report, CancellationToken cancellationToken) =>
        events.SendAsync(Completion([]) with { Usage = usage, Cleave = report }, ApiJson.Default.TextCompletion, cancellationToken);

    /// <inheritdoc />
    public void Add(int index, string text, IReadOnlyList<AnswerToken> tokens, string reason) => _choices.Add(new TextChoice
    {
        Index = index,
        Text = (echoes?[index] ?? "") + text,
        Logprobs = Logprobs(index, tokens),
        FinishReason = reason,
    });

    /// <inheritdoc />
    public Task WriteAsync(Stream body, Usage usage, SplitReport? report, CancellationToken cancellationToken) =>
        JsonSerializer.SerializeAsync(body, Completion(_choices) with { Usage = usage, Cleave = report }, ApiJson.Default.TextCompletion, cancellationToken);

    private Task SendAsync(SseStream events, TextChoice choice, SplitReport? report, CancellationToken cancellationToken) =>
        events.SendAsync(Completion([choice]) with { Cleave = report }, ApiJson.Default.TextCompletion, cancellationToken);

    private TextCompletion Completion(IReadOnlyList<TextChoice> choices) => new()
    {
        Id = id,
        Object = "text_completion",
        Created = created,
        Model = model.Name,
        SystemFingerprint = model.Fingerprint,
        Choices = choices,
    };

    private TextLogprobs? Logprobs(int index, IReadOnlyList<AnswerToken> tokens)
    {
        if (!withLogprobs)
        {
            return null;
        }

        int offset = _offsets.GetValueOrDefault(index, echoes?[index].Length ?? 0);
        var offsets = new List<int>(tokens.Count);
        foreach (AnswerToken token in tokens)
        {
            offsets.Add(offset);
            offset += token.Text.Length;
        }

        _offsets[index] = offset;
        return new TextLogprobs(
            [.. tokens.Select(token => model.Tokenizer.TokenText(token.Id))],
            [.. tokens.Select(static token => token.LogProbability)],
            [.. tokens.Select(token => (IReadOnlyDictionary<string, double>)Top(token))],
            offsets);
    }

    // Several tokens may show the same text (parts of characters do): the likeliest is kept.
    private Dictionary<string, double> Top(AnswerToken token)
    {
        var top = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (TokenProbability entry in token.Top!)
        {
            top.TryAdd(model.Tokenizer.TokenText(entry.Id), entry.LogProbability);
        }

        return top;
    }
}
