using Cleave.PrivacyLab.Capture;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Study;

/// <summary>How large an experiment is. The defaults are those of docs/PRIVACY-STUDY.md.</summary>
public sealed record StudySettings
{
    /// <summary>Documents attacked, spread evenly over the domains.</summary>
    public int Documents { get; init; } = 208;

    /// <summary>Most tokens of a document.</summary>
    public int PromptTokens { get; init; } = 112;

    /// <summary>Tokens generated where a table needs output.</summary>
    public int OutputTokens { get; init; } = 32;

    /// <summary>Seeds of every learned attack.</summary>
    public IReadOnlyList<int> Seeds { get; init; } = [1, 2, 3];

    /// <summary>Local layers at the front, for tables that vary them.</summary>
    public IReadOnlyList<int> Depths { get; init; } = [2, 4, 6, 8];

    /// <summary>Local layers at the end.</summary>
    public int Tail { get; init; } = 2;

    /// <summary>Activations on the wire.</summary>
    public WireType Wire { get; init; } = WireType.F32;

    /// <summary>Most pairs a learned attack may use; the study's budgets above it are left out.</summary>
    public int MaxPairs { get; init; } = 200_000;

    /// <summary>True to train networks too; false leaves the learned table to ridge and anchors, which have closed forms.</summary>
    public bool Networks { get; init; } = true;

    /// <summary>Told what is being done.</summary>
    public Action<string> Say { get; init; } = static _ => { };

    /// <summary>Prompts only.</summary>
    public CaptureOptions PromptOnly => new() { Wire = Wire, PromptTokens = PromptTokens };

    /// <summary>Prompts and what the model makes of them, drafts included.</summary>
    public CaptureOptions WithOutput => PromptOnly with { OutputTokens = OutputTokens };
}
