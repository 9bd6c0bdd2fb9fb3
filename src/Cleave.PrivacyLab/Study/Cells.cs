using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>Numbers as the tables show them.</summary>
public static class Cells
{
    /// <summary>A share with its interval.</summary>
    public static string Share(RateInterval interval) => interval.ToString();

    /// <summary>A share.</summary>
    public static string Share(double rate) => FormattableString.Invariant($"{100 * rate:F1} %");

    /// <summary>Mean over seeds; the interval spans those of all seeds.</summary>
    public static string Share(IReadOnlyList<RateInterval> seeds) => Span(seeds).ToString();

    /// <summary>Mean over seeds; the interval spans those of all seeds.</summary>
    public static RateInterval Span(IReadOnlyList<RateInterval> seeds) => new(seeds.Average(static s => s.Rate), seeds.Min(static s => s.Low), seeds.Max(static s => s.High));

    /// <summary>A number with its interval, and so many digits after the point.</summary>
    public static string Number(RateInterval value, int digits) => $"{Number(value.Rate, digits)} ({Number(value.Low, digits)} to {Number(value.High, digits)})";

    /// <summary>A number with so many digits after the point.</summary>
    public static string Number(double value, int digits = 2) => value.ToString("F" + digits, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A time, in milliseconds when it is short.</summary>
    public static string Seconds(double seconds) => seconds < 0.1 ? $"{Number(1000 * seconds, 2)} ms" : $"{Number(seconds, 2)} s";
}
