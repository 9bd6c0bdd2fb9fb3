using Cleave.Inference.Sessions;

namespace Cleave.Gateway.Conversations;

/// <summary>Hands a session's events to whichever request uses it.</summary>
public sealed class ConversationEvents
{
    /// <summary>The request's listener, or null.</summary>
    public Action<SessionEvent>? Listener { get; set; }

    /// <summary>True from a loss until the session goes on.</summary>
    public bool IsRecovering { get; private set; }

    /// <summary>Tells of an event.</summary>
    public void Tell(SessionEvent happened)
    {
        IsRecovering = happened.Kind switch
        {
            SessionEventKind.LinkLost => true,
            SessionEventKind.Resumed or SessionEventKind.Replayed => false,
            _ => IsRecovering,
        };
        Listener?.Invoke(happened);
    }
}
