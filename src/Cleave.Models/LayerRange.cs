using System.Globalization;

namespace Cleave.Models;

/// <summary>Decoder layers [Start, End).</summary>
public readonly record struct LayerRange
{
    /// <exception cref="ArgumentOutOfRangeException">Start is negative or past End.</exception>
    public LayerRange(int start, int end)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfLessThan(end, start);
        Start = start;
        End = end;
    }

    /// <summary>First layer.</summary>
    public int Start { get; }

    /// <summary>One past the last layer.</summary>
    public int End { get; }

    /// <summary>Layers in the range.</summary>
    public int Count => End - Start;

    /// <summary>True when every layer of <paramref name="other"/> is in this range.</summary>
    public bool Contains(LayerRange other) => other.Start >= Start && other.End <= End;

    /// <summary>Reads "a..b", the layers from a up to but not including b.</summary>
    public static bool TryParse(string? text, out LayerRange range)
    {
        range = default;
        string[] parts = (text ?? "").Split("..");
        if (parts.Length != 2
            || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int start)
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int end)
            || end < start)
        {
            return false;
        }

        range = new LayerRange(start, end);
        return true;
    }

    /// <summary>"a..b".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Start}..{End}");
}
