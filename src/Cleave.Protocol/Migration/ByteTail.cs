namespace Cleave.Protocol.Migration;

/// <summary>The last bytes of what was sent on a connection, by their place in it. Grows up to a size, then forgets the oldest.</summary>
/// <param name="most">Bytes kept at most.</param>
/// <param name="start">Place of the first byte to come.</param>
internal sealed class ByteTail(int most, long start)
{
    private const int FirstBytes = 4 << 10;

    private byte[] _ring = new byte[Math.Min(FirstBytes, most)];

    /// <summary>Place of the oldest byte kept.</summary>
    public long Start { get; private set; } = start;

    /// <summary>Place behind the newest.</summary>
    public long End { get; private set; } = start;

    /// <summary>Adds what is sent now.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= most)
        {
            // Only its own end is kept.
            End += bytes.Length - most;
            Start = End;
            bytes = bytes[^most..];
        }

        Grow((int)Math.Min(most, End - Start + bytes.Length));
        int at = (int)(End % _ring.Length);
        int first = Math.Min(bytes.Length, _ring.Length - at);
        bytes[..first].CopyTo(_ring.AsSpan(at));
        bytes[first..].CopyTo(_ring);
        End += bytes.Length;
        Start = Math.Max(Start, End - _ring.Length);
    }

    /// <summary>The bytes from a place on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not kept (any more).</exception>
    public void CopyTo(long from, Span<byte> to)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(from, Start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(from, End);
        int count = (int)(End - from);
        int at = (int)(from % _ring.Length);
        int first = Math.Min(count, _ring.Length - at);
        _ring.AsSpan(at, first).CopyTo(to);
        _ring.AsSpan(0, count - first).CopyTo(to[first..]);
    }

    private void Grow(int needed)
    {
        if (needed <= _ring.Length)
        {
            return;
        }

        byte[] old = new byte[End - Start];
        CopyTo(Start, old);
        long end = End;
        _ring = new byte[(int)Math.Min(most, Math.Max((long)needed, 2L * _ring.Length))];
        End = Start;
        Append(old);
        System.Diagnostics.Debug.Assert(End == end, "the same bytes in more room");
    }
}
