using Cleave.Inference;
using Cleave.Protocol;

namespace Cleave.Gateway.Conversations;

/// <summary>A session, and what happens to it.</summary>
/// <param name="generator">The session's generator.</param>
/// <param name="events">Where its link tells of losses and recoveries.</param>
public sealed class Conversation(TextGenerator generator, ConversationEvents events) : IAsyncDisposable
{
    private readonly CancellationTokenSource _closing = new();

    /// <summary>The session's generator.</summary>
    public TextGenerator Generator { get; } = generator;

    /// <summary>Where its link tells of losses and recoveries.</summary>
    public ConversationEvents Events { get; } = events;

    /// <summary>True when it holds nothing yet: it was opened ahead of a conversation.</summary>
    internal bool IsEmpty => Generator.Session.CommittedTokens.Count == 0;

    /// <summary>Tokens at its beginning that a prompt begins with too.</summary>
    internal int SharedWith(ReadOnlySpan<int> prompt)
    {
        IReadOnlyList<int> committed = Generator.Session.CommittedTokens;
        int limit = Math.Min(prompt.Length, committed.Count);
        int length = 0;
        while (length < limit && prompt[length] == committed[length])
        {
            length++;
        }

        return length;
    }

    /// <summary>Ends when the session has settled; false when it was lost on the way.</summary>
    internal Task<bool> Settled { get; private set; } = Task.FromResult(true);

    /// <summary>
    /// Receives what is still on its way and forgets guesses that did not come true, while nobody waits for it: a next turn
    /// that continues the answer then needs no round trip before its first rows.
    /// </summary>
    internal void BeginSettling() => Settled = SettleAsync();

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await Settled;
        _closing.Dispose();
        await Generator.DisposeAsync();
    }

    private async Task<bool> SettleAsync()
    {
        await Task.Yield();
        try
        {
            await Generator.Session.TruncateAsync(Generator.Session.CommittedTokens.Count, _closing.Token);
            return Generator.Session.IsIntact;
        }
        catch (Exception exception) when (exception is WireException or InferenceException or OperationCanceledException)
        {
            return false;
        }
    }
}
