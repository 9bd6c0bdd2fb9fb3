namespace Cleave.Cli.Benchmarking;

/// <summary>One step of the way from a naive client to this one.</summary>
/// <param name="Name">What changed.</param>
/// <param name="MsPerStep">Milliseconds per round trip that something waited for.</param>
/// <param name="BytesPerStep">Bytes both ways per such a trip.</param>
/// <param name="TokensPerSecond">Tokens per second after the first round trip.</param>
internal sealed record LadderRung(string Name, double MsPerStep, double BytesPerStep, double TokensPerSecond);
