using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Numbers as the tables show them.</summary>
internal static class Cells
{
    public static string Share(RateInterval interval) => interval.ToString();

    public static string Share(double rate) => FormattableString.Invariant($"{100 * rate:F1} %");

    /// <summary>Mean over seeds; the interval spans those of all seeds.</summary>
    public static string Share(IReadOnlyList<RateInterval> seeds) => new RateInterval(
        seeds.Average(static s => s.Rate), seeds.Min(static s => s.Low), seeds.Max(static s => s.High)).ToString();

    public static string Number(double value, int digits = 2) => value.ToString("F" + digits, System.Globalization.CultureInfo.InvariantCulture);

    public static string Seconds(double seconds) => seconds < 0.1 ? $"{Number(1000 * seconds, 2)} ms" : $"{Number(seconds, 2)} s";
}
