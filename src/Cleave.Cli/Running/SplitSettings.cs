using Cleave.Inference;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Running;

/// <summary>Which model runs and where its layers are.</summary>
internal sealed record SplitSettings
{
    /// <summary>The trusted side's model file.</summary>
    public required string ModelPath { get; init; }

    /// <summary>Small model with the same vocabulary that drafts; null takes the bundled one for the bundled model, none for others.</summary>
    public string? DraftPath { get; init; }

    /// <summary>What loading does to its matrices, here and in a worker started here.</summary>
    public WeightPrecision Weights { get; init; }

    /// <summary>Where each part computes.</summary>
    public DeviceSettings Devices { get; init; } = new();

    /// <summary>Where it is cut; null runs it unsplit on this machine.</summary>
    public Cut? Cut { get; init; }

    /// <summary>Workers that may be used, any of them at a time; none starts one on this machine.</summary>
    public IReadOnlyList<PairingLink> Workers { get; init; } = [];

    /// <summary>True when the workers hold parts of the middle, to be run one after the other; false when each holds all of it.</summary>
    public bool Chained { get; init; }

    /// <summary>True when workers in a row may pass rows on to each other.</summary>
    public bool Forward { get; init; } = true;

    /// <summary>True to start another worker on this machine when ours has ended.</summary>
    public bool RestartWorker { get; init; }

    /// <summary>Link emulated between the sides, or null.</summary>
    public WanOptions? Wan { get; init; }

    /// <summary>Encoding of activations.</summary>
    public WireType Wire { get; init; }

    /// <summary>Most tokens of a conversation; null takes the model's context.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Measures beside splitting.</summary>
    public PrivacySettings Privacy { get; init; } = new();

    /// <summary>The same on this machine alone.</summary>
    public SplitSettings Unsplit => this with { Cut = null, Workers = [], Wan = null };

    /// <summary>Sessions open at once.</summary>
    public int Sessions { get; init; } = 1;
}
