using Cleave.Gateway.Conversations;
using Cleave.Inference;
using Cleave.Inference.Privacy.KeepLocal;
using Cleave.Protocol;

namespace Cleave.Gateway.Hosting;

/// <summary>What a gateway answers with: the trusted side's model, the way to its middle layers, and what to say of both.</summary>
public sealed record GatewayBackend
{
    /// <summary>Tokenizer, head and tail.</summary>
    public required TrustedModel Model { get; init; }

    /// <summary>Opens a session.</summary>
    public required Func<ConversationOpening, CancellationToken, Task<TextGenerator>> OpenAsync { get; init; }

    /// <summary>Most sessions open at once: what caches on this side, and the worker's limits, hold.</summary>
    public required int MaxConversations { get; init; }

    /// <summary>Most tokens of a conversation, prompt and answer.</summary>
    public required int ContextTokens { get; init; }

    /// <summary>Name under which the API serves the model.</summary>
    public required string ModelName { get; init; }

    /// <summary>Decoder asked for.</summary>
    public required string Decoder { get; init; }

    /// <summary>Where the model is cut; null when it runs unsplit.</summary>
    public Cut? Cut { get; init; }

    /// <summary>What the worker says of itself; null when unsplit.</summary>
    public WorkerDescription? Worker { get; init; }

    /// <summary>Where the worker is ("203.0.113.5:7707"); null when unsplit.</summary>
    public string? WorkerAddress { get; init; }

    /// <summary>Encoding of activations on the wire.</summary>
    public WireType Wire { get; init; }

    /// <summary>Which conversations are answered by all layers on this machine; null sends every one over the split.</summary>
    public KeepLocalRules? KeepLocal { get; init; }

    /// <summary>Opens a session whose every layer runs here; needed where <see cref="KeepLocal"/> is given.</summary>
    public Func<ConversationOpening, CancellationToken, Task<TextGenerator>>? OpenLocalAsync { get; init; }

    /// <summary>One line on what the worker's operator can learn.</summary>
    public required string PrivacyVerdict { get; init; }
}
