namespace Cleave.Protocol.Migration;

/// <summary>Where a connection stands between two transports.</summary>
/// <param name="Received">Bytes received.</param>
/// <param name="Sent">Bytes sent.</param>
/// <param name="KeptFrom">Place of the first byte sent that is kept.</param>
public readonly record struct MigrationState(long Received, long Sent, long KeptFrom);
