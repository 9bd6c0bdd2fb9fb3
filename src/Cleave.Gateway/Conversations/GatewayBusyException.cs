namespace Cleave.Gateway.Conversations;

/// <summary>No conversation is free and the queue is full.</summary>
public sealed class GatewayBusyException(string message) : Exception(message);
