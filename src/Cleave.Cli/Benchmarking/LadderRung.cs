namespace Cleave.Cli.Benchmarking;

/// <summary>One step of the way from a naive client to this one.</summary>
/// <param name="Name">What changed.</param>
/// <param name="MsPerStep">Milliseconds per one-row step.</param>
/// <param name="BytesPerStep">Bytes both ways.</param>
/// <param name="TokensPerSecond">Tokens per second at that step.</param>
internal sealed record LadderRung(string Name, double MsPerStep, double BytesPerStep, double TokensPerSecond);
