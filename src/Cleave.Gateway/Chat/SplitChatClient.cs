using System.Runtime.CompilerServices;
using Cleave.Gateway.Generation;
using Cleave.Gateway.Grammar;
using Cleave.Gateway.Hosting;
using Cleave.Gateway.OpenAi;
using Cleave.Inference;
using Cleave.Inference.Sampling;
using Microsoft.Extensions.AI;
using TemplateMessage = Cleave.Tokenization.ChatTemplates.ChatMessage;

namespace Cleave.Gateway.Chat;

/// <summary>
/// Split inference behind Microsoft.Extensions.AI's <see cref="IChatClient"/>, without a server: the model's ends run in this process,
/// its middle on a worker. Used by any number of threads; conversations reuse what was sent before.
/// </summary>
public sealed class SplitChatClient : IChatClient, IAsyncDisposable
{
    private readonly ServedModel _model;
    private readonly SplitBackend? _owned;
    private readonly ChatClientMetadata _metadata;

    /// <param name="backend">What answers; not disposed.</param>
    public SplitChatClient(GatewayBackend backend)
        : this(backend, null)
    {
    }

    private SplitChatClient(GatewayBackend backend, SplitBackend? owned)
    {
        _owned = owned;
        _model = new ServedModel(backend, new GatewayOptions { MaxConversations = backend.MaxConversations }, TimeProvider.System);
        _metadata = new ChatClientMetadata("cleave", null, _model.Name);
    }

    /// <summary>Opens a model, and a worker if a link is given; without one the model runs unsplit on this machine.</summary>
    /// <param name="modelPath">The whole model's file.</param>
    /// <param name="worker">Pairing link, or null.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static Task<SplitChatClient> ConnectAsync(string modelPath, string? worker = null, CancellationToken cancellationToken = default) =>
        ConnectAsync(new SplitBackendOptions { ModelPath = modelPath, Workers = worker is null ? [] : [worker] }, cancellationToken);

    /// <summary>Opens what <paramref name="options"/> ask for.</summary>
    /// <exception cref="Exception">As <see cref="SplitBackend.OpenAsync"/>.</exception>
    public static async Task<SplitChatClient> ConnectAsync(SplitBackendOptions options, CancellationToken cancellationToken = default)
    {
        SplitBackend backend = await SplitBackend.OpenAsync(options, cancellationToken);
        return new SplitChatClient(backend.Backend, backend);
    }

    /// <summary>A whole answer. Its additional property "statistics" holds the <see cref="GenerationStatistics"/>.</summary>
    /// <inheritdoc />
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (ChatResponseUpdate update in GetStreamingResponseAsync(messages, options, cancellationToken))
        {
            updates.Add(update);
        }

        // The extension that joins updates puts their properties on the message; they are about the response.
        ChatResponse response = updates.ToChatResponse();
        response.AdditionalProperties = updates[^1].AdditionalProperties;
        return response;
    }

    /// <summary>An answer as it comes. The last update has its usage, and the <see cref="GenerationStatistics"/> as additional property "statistics".</summary>
    /// <inheritdoc />
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        string id = "chatcmpl-" + Guid.NewGuid().ToString("N");
        ChatResponseUpdate Update(IList<AIContent> contents) => new(ChatRole.Assistant, contents)
        {
            ResponseId = id,
            MessageId = id,
            ModelId = _model.Name,
            CreatedAt = DateTimeOffset.UtcNow,
        };

        AnswerRequest request = Request(messages, options ?? new ChatOptions());
        var answer = new Answer(_model.PoolFor(request.Prompt.Span), _model.Tokenizer, request);
        await foreach (AnswerPiece piece in answer.StreamAsync(cancellationToken))
        {
            if (piece.Text.Length > 0)
            {
                yield return Update([new TextContent(piece.Text)]);
            }
        }

        ChatResponseUpdate last = Update([new UsageContent(new UsageDetails
        {
            InputTokenCount = answer.Statistics!.PromptTokens,
            CachedInputTokenCount = answer.Statistics.ReusedTokens,
            OutputTokenCount = answer.TokenCount,
            TotalTokenCount = answer.Statistics.PromptTokens + answer.TokenCount,
        })]);
        last.FinishReason = answer.FinishReason == FinishReason.Stop ? ChatFinishReason.Stop : ChatFinishReason.Length;
        last.AdditionalProperties = new AdditionalPropertiesDictionary { ["statistics"] = answer.Statistics };
        yield return last;
    }

    /// <inheritdoc />
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    /// <inheritdoc />
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _model.DisposeAsync();
        if (_owned is not null)
        {
            await _owned.DisposeAsync();
        }
    }

    private AnswerRequest Request(IEnumerable<ChatMessage> messages, ChatOptions options)
    {
        if (options.Tools is { Count: > 0 })
        {
            throw new NotSupportedException("tools are not supported: this client answers with text; describe the call in a JSON schema response format instead");
        }

        if (options.ModelId is { } model && model != _model.Name)
        {
            throw new ArgumentException($"there is no model '{model}'; this client has '{_model.Name}'", nameof(options));
        }

        var turns = new List<TemplateMessage>();
        if (options.Instructions is { Length: > 0 } instructions)
        {
            turns.Add(new TemplateMessage("system", instructions));
        }

        turns.AddRange(messages.Select(Turn));
        int[] prompt = _model.ChatPrompts.Encode(turns);
        var sampling = new SamplingOptions
        {
            Temperature = options.Temperature ?? 1,
            TopP = Math.Max(options.TopP ?? 1, 1e-9),
            TopK = options.TopK ?? 0,
            FrequencyPenalty = options.FrequencyPenalty ?? 0,
            PresencePenalty = options.PresencePenalty ?? 0,
            Seed = options.Seed is { } seed ? unchecked((ulong)seed) : SamplingFields.RandomSeed(),
        };
        if (sampling.Validate() is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        return new AnswerRequest
        {
            Prompt = prompt,
            Sampling = sampling,
            MaxTokens = Math.Min(options.MaxOutputTokens ?? int.MaxValue, Math.Max(1, _model.Backend.ContextTokens - prompt.Length + 1)),
            Stop = [.. options.StopSequences ?? []],
            Mask = Mask(options.ResponseFormat),
        };
    }

    private ITokenMask? Mask(ChatResponseFormat? format)
    {
        try
        {
            return format switch
            {
                null or ChatResponseFormatText => null,
                ChatResponseFormatJson { Schema: { } schema } => _model.Grammars.Schema(schema),
                ChatResponseFormatJson => _model.Grammars.Object(),
                _ => throw new NotSupportedException($"the response format {format.GetType().Name} is not supported"),
            };
        }
        catch (GrammarException exception)
        {
            throw new NotSupportedException(exception.Message, exception);
        }
    }

    private static TemplateMessage Turn(ChatMessage message)
    {
        foreach (AIContent content in message.Contents)
        {
            if (content is not (TextContent or UsageContent or TextReasoningContent))
            {
                throw new NotSupportedException($"content of kind {content.GetType().Name} is not supported; the model reads text");
            }
        }

        return new TemplateMessage(message.Role.Value, message.Text);
    }
}
