using System.Globalization;
using Cleave.Protocol.Wan;

namespace Cleave.Protocol.Shaping;

/// <summary>
/// What the network is allowed to see: frames of one size, one every tick, their number per turn rounded up to a bucket. It hides from the
/// network alone; the worker sees which rows are padding.
/// </summary>
/// <param name="Rows">Rows in every frame; prompts are cut into frames of as many.</param>
/// <param name="Tick">Time from frame to frame.</param>
public sealed record FrameShape(int Rows, TimeSpan Tick)
{
    /// <summary>Most rows a frame may be padded to.</summary>
    public const int MaxRows = 1024;

    /// <summary>A turn has this many frames, or twice, four times, ... as many: prompt and answer together.</summary>
    public int SmallestTurn { get; init; } = 32;

    /// <summary>Reads "ROWS:TICK[:FRAMES]": "16:90ms", "16:90ms:64".</summary>
    /// <exception cref="FormatException">The text is none; the message says what is.</exception>
    public static FrameShape Parse(string? text)
    {
        string[] parts = (text ?? "").Split(':');
        if (parts.Length is not (2 or 3)
            || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int rows)
            || rows is < 1 or > MaxRows)
        {
            throw new FormatException($"'{text}' is no frame shape; give ROWS:TICK, as 16:90ms (1 to {MaxRows} rows), or ROWS:TICK:FRAMES");
        }

        TimeSpan tick = DurationText.Parse(parts[1]);
        if (tick < TimeSpan.FromMilliseconds(1))
        {
            throw new FormatException($"a tick of '{parts[1]}' is too short; give at least 1ms, and no less than the round trip to send no more than is needed");
        }

        int turn = 32;
        return parts.Length == 3 && (!int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out turn) || turn < 1)
            ? throw new FormatException($"'{parts[2]}' is no number of frames; give at least 1")
            : new FrameShape(rows, tick) { SmallestTurn = turn };
    }

    /// <summary>Frames a turn of <paramref name="frames"/> is rounded up to.</summary>
    public int Bucket(int frames)
    {
        int bucket = SmallestTurn;
        while (bucket < frames)
        {
            bucket *= 2;
        }

        return bucket;
    }
}
