namespace Cleave.Compute;

/// <summary>Geometry of one layer's grouped-query attention.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads; query head h reads key head h / (Heads / KvHeads).</param>
/// <param name="HeadDim">Numbers per head.</param>
/// <param name="Scale">Factor on q·k.</param>
/// <param name="SoftCap">0, or the cap c of c·tanh(score / c) (Gemma 2).</param>
/// <param name="Window">0, or how many positions, its own included, a row sees (sliding window).</param>
public readonly record struct AttentionShape(int Heads, int KvHeads, int HeadDim, float Scale, float SoftCap = 0, int Window = 0);
