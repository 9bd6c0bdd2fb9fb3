using System.Globalization;

namespace Cleave.Protocol.Wan;

/// <summary>Bandwidths as people write them: <c>100mbit</c>, <c>1gbit</c>, <c>512kbit</c>; <c>0</c>, <c>-</c> or <c>unlimited</c> for no limit.</summary>
public static class BandwidthText
{
    private static readonly (string Unit, double BitsPerSecond)[] Units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];

    /// <summary>Reads a bandwidth in bits per second; 0 means no limit.</summary>
    public static bool TryParse(string? text, out double bitsPerSecond)
    {
        bitsPerSecond = 0;
        string trimmed = (text ?? "").Trim();
        if (trimmed is "0" or "-" || trimmed.Equals("unlimited", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        foreach ((string unit, double scale) in Units)
        {
            if (trimmed.EndsWith(unit, StringComparison.OrdinalIgnoreCase)
                && double.TryParse(trimmed.AsSpan(0, trimmed.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
            {
                bitsPerSecond = value * scale;
                return bitsPerSecond is >= 1e3 and <= 1e12;
            }
        }

        return false;
    }

    /// <summary>Reads a bandwidth in bits per second; 0 means no limit.</summary>
    /// <exception cref="FormatException">With the text and an example.</exception>
    public static double Parse(string? text) => TryParse(text, out double bitsPerSecond)
        ? bitsPerSecond
        : throw new FormatException($"'{text}' is not a bandwidth: write kbit, mbit or gbit after a number (100mbit, at least 1kbit), or 'unlimited'");
}
