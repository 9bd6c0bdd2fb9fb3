using System.Globalization;

namespace Cleave.Gateway.Grammar;

/// <summary>Integers between two bounds, digit by digit.</summary>
internal static class IntegerRange
{
    /// <summary>Largest magnitude: what a double holds exactly.</summary>
    public const long Limit = 999_999_999_999_999;

    /// <summary>Adds the integers from <paramref name="min"/> to <paramref name="max"/>, both included.</summary>
    /// <exception cref="GrammarException">There are none.</exception>
    public static GrammarNode Add(GrammarBuilder builder, GrammarNode from, long min, long max)
    {
        if (min > max)
        {
            throw new GrammarException($"no integer lies between the minimum {min} and the maximum {max}");
        }

        min = Math.Max(min, -Limit);
        max = Math.Min(max, Limit);
        GrammarNode end = builder.Node();
        if (min < 0)
        {
            AddNatural(builder, builder.Text(from, "-"), Math.Max(1, -Math.Min(max, -1)), -min, end);
        }

        if (max >= 0)
        {
            AddNatural(builder, from, Math.Max(0, min), max, end);
        }

        return end;
    }

    private static void AddNatural(GrammarBuilder builder, GrammarNode from, long min, long max, GrammarNode end)
    {
        for (int digits = Text(min).Length; digits <= Text(max).Length; digits++)
        {
            long least = digits == 1 ? 0 : (long)Math.Pow(10, digits - 1);
            long most = (long)Math.Pow(10, digits) - 1;
            GrammarNode start = builder.Node();
            from.Epsilon.Add(start);
            AddDigits(builder, start, Text(Math.Max(min, least)), Text(Math.Min(max, most)), end);
        }
    }

    private static void AddDigits(GrammarBuilder builder, GrammarNode from, ReadOnlySpan<char> low, ReadOnlySpan<char> high, GrammarNode end)
    {
        if (low.IsEmpty)
        {
            from.Epsilon.Add(end);
            return;
        }

        if (low[0] == high[0])
        {
            AddDigits(builder, builder.Range(from, (byte)low[0], (byte)low[0]), low[1..], high[1..], end);
            return;
        }

        string least = new('0', low.Length - 1);
        string most = new('9', low.Length - 1);
        AddDigits(builder, builder.Range(from, (byte)low[0], (byte)low[0]), low[1..], most, end);
        AddDigits(builder, builder.Range(from, (byte)high[0], (byte)high[0]), least, high[1..], end);
        if (high[0] - low[0] > 1)
        {
            AddDigits(builder, builder.Range(from, (byte)(low[0] + 1), (byte)(high[0] - 1)), least, most, end);
        }
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
