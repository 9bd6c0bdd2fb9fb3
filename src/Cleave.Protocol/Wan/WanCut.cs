namespace Cleave.Protocol.Wan;

/// <summary>An interruption: at <paramref name="At"/> after the start every connection is dropped, and new ones are refused for <paramref name="Length"/>.</summary>
/// <param name="At">Time after the emulator started.</param>
/// <param name="Length">How long the link stays down.</param>
public readonly record struct WanCut(TimeSpan At, TimeSpan Length)
{
    /// <summary>Reads <c>30s:2s</c>: at 30 s, for 2 s.</summary>
    /// <exception cref="FormatException">With the text and an example.</exception>
    public static WanCut Parse(string? text)
    {
        string[] parts = (text ?? "").Split(':');
        return parts.Length == 2 && DurationText.TryParse(parts[0], out TimeSpan at) && DurationText.TryParse(parts[1], out TimeSpan length)
            ? new WanCut(at, length)
            : throw new FormatException($"'{text}' is not a cut: write when and for how long, such as 30s:2s");
    }
}
