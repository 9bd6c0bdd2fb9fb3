namespace Cleave.Models;

/// <summary>How command lines write a <see cref="WeightPrecision"/>: stored, q8, packed.</summary>
public static class WeightPrecisionText
{
    /// <summary>The names, as a value's place in help texts.</summary>
    public const string Syntax = "stored|q8|packed";

    /// <summary>Reads a name, in any case; a number is none.</summary>
    /// <exception cref="FormatException">It is no name; the message says which there are.</exception>
    public static WeightPrecision Parse(string? text)
    {
        foreach (WeightPrecision precision in Enum.GetValues<WeightPrecision>())
        {
            if (string.Equals(precision.ToString(), text, StringComparison.OrdinalIgnoreCase))
            {
                return precision;
            }
        }

        throw new FormatException($"'{text}' is nothing that weights can be loaded as; give {Syntax}");
    }
}
