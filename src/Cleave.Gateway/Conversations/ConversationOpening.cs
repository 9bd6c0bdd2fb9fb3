namespace Cleave.Gateway.Conversations;

/// <summary>What a backend is told when it opens a session.</summary>
/// <param name="KnownRttMs">Round-trip time where another session has measured it.</param>
/// <param name="Events">Where the session's link is to tell of losses and recoveries.</param>
public sealed record ConversationOpening(double? KnownRttMs, ConversationEvents Events);
