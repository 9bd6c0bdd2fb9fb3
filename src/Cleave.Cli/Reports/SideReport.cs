namespace Cleave.Cli.Reports;

/// <summary>What one part of a cut model takes.</summary>
/// <param name="Layers">Its layers, "a..b".</param>
/// <param name="WeightBytes">Bytes of weights, embedding (head) or norm and LM head (tail) included. A tied LM head counts once, with the head.</param>
/// <param name="KvBytes">Bytes of its key-value cache for a full context.</param>
internal sealed record SideReport(string Layers, long WeightBytes, long KvBytes);
