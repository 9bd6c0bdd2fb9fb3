using System.Globalization;

namespace Cleave.Protocol.Wan;

/// <summary>Durations as people write them: <c>80ms</c>, <c>0.5s</c>, <c>2m</c>. A bare number is refused, its unit unknown.</summary>
public static class DurationText
{
    private static readonly (string Unit, double Milliseconds)[] Units = [("ms", 1), ("us", 1e-3), ("s", 1e3), ("m", 60e3), ("h", 3600e3)];

    /// <summary>Reads a duration; it is never negative and at most a day.</summary>
    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = default;
        string trimmed = (text ?? "").Trim();
        foreach ((string unit, double milliseconds) in Units)
        {
            if (!trimmed.EndsWith(unit, StringComparison.OrdinalIgnoreCase)
                || !double.TryParse(trimmed.AsSpan(0, trimmed.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
            {
                continue;
            }

            double total = value * milliseconds;
            if (!(total <= 24 * 3600e3))
            {
                return false;
            }

            duration = TimeSpan.FromMilliseconds(total);
            return true;
        }

        // Zero needs no unit.
        return trimmed is "0";
    }

    /// <summary>Reads a duration.</summary>
    /// <exception cref="FormatException">With the text and an example.</exception>
    public static TimeSpan Parse(string? text) => TryParse(text, out TimeSpan duration)
        ? duration
        : throw new FormatException($"'{text}' is not a duration: write a number with a unit, such as 80ms, 0.5s or 2m");
}
