namespace Cleave.Protocol.Migration;

/// <summary>Where a connection stands between two transports.</summary>
/// <param name="Received">Bytes received.</param>
/// <param name="Sent">Bytes sent.</param>
/// <param name="KeptFrom">Place of the first byte sent that is kept.</param>
public readonly record struct MigrationState(long Received, long Sent, long KeptFrom);

/// <summary>What is said first on a new transport.</summary>
/// <param name="Words">Bytes of no connection.</param>
/// <param name="From">Place in the connection from which its bytes follow.</param>
public readonly record struct MigrationGreeting(ReadOnlyMemory<byte> Words, long From);
