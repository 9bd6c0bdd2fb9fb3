namespace Cleave.Inference.Decoding;

/// <summary>How often a drafter was right, among candidates whose parent was right.</summary>
/// <param name="Source">The drafter.</param>
/// <param name="Rank">Rank among its guesses for one parent, 3 for all from the fourth on.</param>
/// <param name="Proposed">Candidates that a verdict decided.</param>
/// <param name="Accepted">Those that were the model's token.</param>
/// <param name="MeanEstimate">Mean of the probability they were given.</param>
public readonly record struct AcceptanceRate(DraftSource Source, int Rank, long Proposed, long Accepted, double MeanEstimate);
