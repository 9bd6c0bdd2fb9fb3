using Cleave.Inference;

namespace Cleave.Gateway.Conversations;

/// <summary>A session in use by one request.</summary>
public sealed class ConversationLease : IAsyncDisposable
{
    private ConversationPool? _pool;

    internal ConversationLease(ConversationPool pool, Conversation conversation, bool isFresh)
    {
        _pool = pool;
        Conversation = conversation;
        IsFresh = isFresh;
    }

    /// <summary>The session.</summary>
    public Conversation Conversation { get; }

    /// <summary>Its generator.</summary>
    public TextGenerator Generator => Conversation.Generator;

    /// <summary>True when it was opened for this request: what fails on it does not fail because it was old.</summary>
    public bool IsFresh { get; }

    /// <summary>Set to close the session instead of keeping it: its work is not wanted any more, or it failed.</summary>
    public bool Drop { get; set; }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _pool, null) is { } pool)
        {
            Conversation.Events.Listener = null;
            await pool.ReturnAsync(Conversation, !Drop);
        }
    }
}
