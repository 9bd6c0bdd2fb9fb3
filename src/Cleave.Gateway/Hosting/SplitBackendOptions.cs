using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Protocol;

namespace Cleave.Gateway.Hosting;

/// <summary>Which model answers, where it is cut, and where its middle runs.</summary>
public sealed record SplitBackendOptions
{
    /// <summary>The whole model's file (.gguf).</summary>
    public required string ModelPath { get; init; }

    /// <summary>Pairing links of workers ("cleave://host:port#fingerprint:token"), any of which may be used; none runs the model unsplit.</summary>
    public IReadOnlyList<string> Workers { get; init; } = [];

    /// <summary>Where head and tail run: cpu, cuda:0, ...; null is a CUDA GPU when there is one, else the CPU.</summary>
    public string? Device { get; init; }

    /// <summary>Layers that stay on this machine.</summary>
    public Cut Cut { get; init; } = Cut.Default;

    /// <summary>Encoding of activations on the wire.</summary>
    public WireType Wire { get; init; }

    /// <summary>How tokens are guessed ahead; decides speed, never text.</summary>
    public string Decoder { get; init; } = DecoderCatalog.Best;

    /// <summary>Most sessions open at once.</summary>
    public int MaxConversations { get; init; } = 4;

    /// <summary>Most tokens of a conversation; null takes the model's context.</summary>
    public int? ContextTokens { get; init; }
}
