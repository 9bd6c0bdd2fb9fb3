using System.Text;

namespace Cleave.Gateway.Generation;

/// <summary>
/// Finds stop sequences in text that arrives in pieces. Text that could still become the beginning of one is held back, so that a
/// sequence is found wherever its pieces are cut.
/// </summary>
internal sealed class StopText(IReadOnlyList<string> stops)
{
    private readonly StringBuilder _held = new();

    /// <summary>True once a stop sequence was found; nothing more comes out.</summary>
    public bool Found { get; private set; }

    /// <summary>Adds text and returns what is certain to be part of the answer.</summary>
    public string Append(string text)
    {
        if (stops.Count == 0 || Found)
        {
            return Found ? "" : text;
        }

        _held.Append(text);
        string held = _held.ToString();

        // 1. The earliest sequence ends the answer.
        int end = -1;
        foreach (string stop in stops)
        {
            int at = held.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && (end < 0 || at < end))
            {
                end = at;
            }
        }

        if (end >= 0)
        {
            Found = true;
            _held.Clear();
            return held[..end];
        }

        // 2. The longest ending that begins a sequence waits.
        int waiting = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, held.Length); length > waiting; length--)
            {
                if (held.AsSpan(held.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                {
                    waiting = length;
                    break;
                }
            }
        }

        _held.Clear();
        _held.Append(held, held.Length - waiting, waiting);
        return held[..^waiting];
    }

    /// <summary>What is held back when the answer ends without a stop sequence.</summary>
    public string Flush()
    {
        string held = _held.ToString();
        _held.Clear();
        return held;
    }
}
