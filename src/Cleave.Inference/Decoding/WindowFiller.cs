namespace Cleave.Inference.Decoding;

/// <summary>
/// Tokens for the places of a window about which nothing is known yet: those of the prompt, in an order that is scattered and
/// always the same.
/// </summary>
internal sealed class WindowFiller
{
    private int[] _tokens = [0];
    private uint _drawn;

    /// <summary>Draws from <paramref name="tokens"/> from now on.</summary>
    public void Reset(ReadOnlySpan<int> tokens)
    {
        _tokens = tokens.IsEmpty ? [0] : tokens.ToArray();
        _drawn = 0;
    }

    /// <summary>The next token.</summary>
    public int Next() => _tokens[(int)(unchecked(++_drawn * 2654435761u) % (uint)_tokens.Length)];
}
