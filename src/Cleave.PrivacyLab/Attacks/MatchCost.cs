namespace Cleave.PrivacyLab.Attacks;

/// <summary>What vocabulary matching took.</summary>
/// <param name="Rows">Rows attacked.</param>
/// <param name="Candidates">Candidate tokens run through the head.</param>
/// <param name="ByProbe">Rows settled by the probe's proposals.</param>
/// <param name="ByLanguageModel">Rows settled by the language model's.</param>
/// <param name="ByVocabulary">Rows settled by the rest of the vocabulary.</param>
/// <param name="Unmatched">Rows no token matched; the nearest was claimed.</param>
/// <param name="Seconds">Time in all, proposals included.</param>
/// <param name="CpuSeconds">Processor time in all: what it takes whatever else the machine does.</param>
public sealed record MatchCost(
    long Rows, long Candidates, long ByProbe, long ByLanguageModel, long ByVocabulary, long Unmatched, double Seconds, double CpuSeconds)
{
    /// <summary>Seconds a recovered token costs.</summary>
    public double SecondsPerToken => Rows == 0 ? 0 : Seconds / Rows;

    /// <summary>Processor seconds a recovered token costs.</summary>
    public double CpuSecondsPerToken => Rows == 0 ? 0 : CpuSeconds / Rows;

    /// <summary>Candidates a row needs.</summary>
    public double CandidatesPerToken => Rows == 0 ? 0 : (double)Candidates / Rows;
}
