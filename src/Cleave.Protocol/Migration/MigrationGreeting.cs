namespace Cleave.Protocol.Migration;

/// <summary>What is said first on a new transport.</summary>
/// <param name="Words">Bytes of no connection.</param>
/// <param name="From">Place in the connection from which its bytes follow.</param>
public readonly record struct MigrationGreeting(ReadOnlyMemory<byte> Words, long From);
