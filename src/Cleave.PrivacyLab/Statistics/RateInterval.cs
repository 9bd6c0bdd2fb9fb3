namespace Cleave.PrivacyLab.Statistics;

/// <summary>A share with its 95 % interval.</summary>
/// <param name="Rate">Estimate.</param>
/// <param name="Low">Lower end.</param>
/// <param name="High">Upper end.</param>
public readonly record struct RateInterval(double Rate, double Low, double High)
{
    /// <summary>"58.8 % (56.1 to 61.4)".</summary>
    public override string ToString() => FormattableString.Invariant($"{100 * Rate:F1} % ({100 * Low:F1} to {100 * High:F1})");
}
