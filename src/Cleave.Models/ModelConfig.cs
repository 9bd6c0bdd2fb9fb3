using Cleave.Compute;

namespace Cleave.Models;

/// <summary>Everything the forward pass needs to know of an architecture. A family is a set of these values.</summary>
public sealed record ModelConfig
{
    /// <summary>Family as the file spells it: "llama", "qwen3", ...</summary>
    public required string Architecture { get; init; }

    /// <summary>The model's own name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Decoder layers of the whole model.</summary>
    public required int Layers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Numbers per head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Inner width of the feed-forward (of one expert, in a mixture).</summary>
    public required int FeedForwardSize { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Longest sequence the model was made for.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Epsilon of every RMS norm.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Added to every norm weight (1 for Gemma checkpoints).</summary>
    public float NormWeightOffset { get; init; }

    /// <summary>True when the LM head is the embedding.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Rotary embedding of global layers.</summary>
    public required RopeTable Rope { get; init; }

    /// <summary>Rotary embedding of sliding-window layers when it differs (Gemma 3).</summary>
    public RopeTable? LocalRope { get; init; }

    /// <summary>True when layer i rotates (SmolLM3 skips every fourth); null: all do.</summary>
    public IReadOnlyList<bool>? RotatesLayer { get; init; }

    /// <summary>Window of each layer in positions, 0 for full attention; null: all full.</summary>
    public IReadOnlyList<int>? Windows { get; init; }

    /// <summary>Factor on q·k.</summary>
    public required float AttentionScale { get; init; }

    /// <summary>0, or the soft cap on attention scores.</summary>
    public float AttentionSoftCap { get; init; }

    /// <summary>0, or the soft cap on logits.</summary>
    public float LogitSoftCap { get; init; }

    /// <summary>Factor on embeddings.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Factor on each sub-layer's output before it joins the residual stream.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>Factor on logits.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>Gate activation.</summary>
    public Activation Activation { get; init; } = Activation.Silu;

    /// <summary>How q and k are normed before RoPE.</summary>
    public QueryKeyNorm QueryKeyNorm { get; init; }

    /// <summary>False when sub-layers take the residual stream as it is (OLMo 2 norms their outputs only).</summary>
    public bool PreNorm { get; init; } = true;

    /// <summary>True when sub-layer outputs are normed (Gemma 2 and 3, OLMo 2).</summary>
    public bool PostNorm { get; init; }

    /// <summary>Experts per layer; 0 for a dense model.</summary>
    public int Experts { get; init; }

    /// <summary>Experts used per token.</summary>
    public int ExpertsPerToken { get; init; }

    /// <summary>True when the chosen experts' weights are renormalised to sum to one.</summary>
    public bool NormalizeExpertWeights { get; init; }

    /// <summary>Key (or value) numbers per token and layer.</summary>
    public int KvColumns => KvHeads * HeadDim;

    /// <summary>Query numbers per token and layer.</summary>
    public int QueryColumns => Heads * HeadDim;
}
