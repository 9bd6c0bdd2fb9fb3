namespace Cleave.PrivacyLab.Report;

/// <summary>An attack's result.</summary>
/// <param name="Tier">What the attacker has.</param>
/// <param name="Attack">Name.</param>
/// <param name="Reads">Prompt, drafts, or output.</param>
/// <param name="Top1">Share named first.</param>
/// <param name="Low">Lower end of the 95 % interval.</param>
/// <param name="High">Upper end.</param>
/// <param name="Top5">Share among five guesses.</param>
/// <param name="Applies">False when the tier needs what this attacker lacks.</param>
/// <param name="Note">Budget, ceiling, cost.</param>
public sealed record Finding(string Tier, string Attack, string Reads, double Top1, double Low, double High, double Top5, bool Applies, string Note);
