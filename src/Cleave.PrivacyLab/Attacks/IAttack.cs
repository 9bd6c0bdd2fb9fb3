using Cleave.PrivacyLab.Capture;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// An attack, ready to run: whatever its tier lets it know (pairs, weights, the defence in force and its law) went into its
/// construction. It is given views only; what is true is known to the scoring alone.
/// </summary>
public interface IAttack
{
    /// <summary>Short name: "vocabulary-matching", "ridge", ...</summary>
    string Name { get; }

    /// <summary>What it needs to know.</summary>
    ThreatTier Tier { get; }

    /// <summary>What it reads.</summary>
    BoundarySide Side { get; }

    /// <summary>One claim per view, in order.</summary>
    IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views);
}
