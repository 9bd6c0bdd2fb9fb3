using Cleave.Inference;

namespace Cleave.Gateway.Conversations;

/// <summary>A session, and what happens to it.</summary>
/// <param name="Generator">The session's generator.</param>
/// <param name="Events">Where its link tells of losses and recoveries.</param>
public sealed record Conversation(TextGenerator Generator, ConversationEvents Events);
