namespace Cleave.Compute;

/// <summary>Which numbers of a head form a rotated pair.</summary>
public enum RopeLayout
{
    /// <summary>Numbers 2i and 2i+1 (GGUF's llama convention).</summary>
    Interleaved,

    /// <summary>Numbers i and i + pairs (Hugging Face's convention).</summary>
    Halves,
}
