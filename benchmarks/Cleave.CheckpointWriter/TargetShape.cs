namespace Cleave.CheckpointWriter;

/// <summary>Sizes of the checkpoint to write.</summary>
/// <param name="Name">Its name in the metadata.</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Hidden">Residual width.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="HeadDim">Numbers per head: twice the source's.</param>
/// <param name="FeedForward">Inner width.</param>
/// <param name="Vocabulary">Rows of embedding and head.</param>
internal sealed record TargetShape(string Name, int Layers, int Hidden, int Heads, int KvHeads, int HeadDim, int FeedForward, int Vocabulary)
{
    /// <summary>Shapes by name: of Mistral 7B, of Mistral NeMo 12B, and one small enough for a test.</summary>
    public static TargetShape? Named(string name) => name switch
    {
        "7b" => new TargetShape("cleave-demo-in-7b", 32, 4096, 32, 8, 128, 14336, 32768),
        "12b" => new TargetShape("cleave-demo-in-12b", 40, 5120, 32, 8, 128, 14336, 131072),
        "tiny" => new TargetShape("cleave-demo-in-tiny", 14, 512, 12, 3, 128, 1280, 12544),
        _ => null,
    };
}
