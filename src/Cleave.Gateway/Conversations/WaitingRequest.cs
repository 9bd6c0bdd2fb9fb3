namespace Cleave.Gateway.Conversations;

/// <summary>A request in the queue for a session.</summary>
internal sealed class WaitingRequest
{
    public WaitingRequest(ReadOnlyMemory<int> prompt)
    {
        Prompt = prompt;
        Node = new LinkedListNode<WaitingRequest>(this);
    }

    /// <summary>What it is about to ask: the session with the longest prefix of it is the best one for it.</summary>
    public ReadOnlyMemory<int> Prompt { get; }

    /// <summary>Its place; in no list once it was served or gave up.</summary>
    public LinkedListNode<WaitingRequest> Node { get; }

    /// <summary>The session, or null: open one.</summary>
    public TaskCompletionSource<Conversation?> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
