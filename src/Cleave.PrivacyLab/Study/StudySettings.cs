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

    /// <summary>Documents a beam search is run over: each takes a pass of the model for every token.</summary>
    public int BeamDocuments => Math.Min(Documents, 64);

    /// <summary>Most pairs a learned attack may use; the study's budgets above it are left out.</summary>
    public int MaxPairs { get; init; } = 200_000;

    /// <summary>True to train networks too; false leaves the learned table to ridge and anchors, which have closed forms.</summary>
    public bool Networks { get; init; } = true;

    /// <summary>True where networks train on a GPU: the paper's widths at every depth and budget, with every seed up to 16 pairs a token.</summary>
    public bool TrainsFast { get; init; }

    /// <summary>Runs of a table made at a time, each on devices of its own.</summary>
    public int SideBySide { get; init; } = 1;

    /// <summary>Told what is being done; by several runs at once when they go side by side.</summary>
    public Action<string> Say { get; init; } = static _ => { };

    /// <summary>Prompts only.</summary>
    public CaptureOptions PromptOnly => new() { Wire = Wire, PromptTokens = PromptTokens };

    /// <summary>Prompts and what the model makes of them, drafts included.</summary>
    public CaptureOptions WithOutput => PromptOnly with { OutputTokens = OutputTokens };
}
