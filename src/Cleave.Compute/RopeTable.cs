namespace Cleave.Compute;

/// <summary>
/// Rotary position embedding (Su et al. 2021, arXiv 2104.09864): cos and sin per position, computed in double precision
/// on the host and grown on demand, so every device rotates by the same float32 numbers.
/// </summary>
public sealed class RopeTable
{
    private readonly double[] _inverseFrequencies;
    private readonly double _magnitude;
    private readonly Lock _growth = new();
    private volatile float[] _cosSin = [];

    /// <param name="inverseFrequencies">One per rotated pair, in radians per position.</param>
    /// <param name="layout">Which numbers form a pair.</param>
    /// <param name="magnitude">Factor on cos and sin (1 but for some scaled variants).</param>
    public RopeTable(ReadOnlySpan<double> inverseFrequencies, RopeLayout layout, double magnitude = 1)
    {
        _inverseFrequencies = inverseFrequencies.ToArray();
        _magnitude = magnitude;
        Layout = layout;
    }

    /// <summary>Which numbers of a head form a pair.</summary>
    public RopeLayout Layout { get; }

    /// <summary>Pairs rotated per head; the head's numbers past 2 * Pairs pass unchanged.</summary>
    public int Pairs => _inverseFrequencies.Length;

    /// <summary>Floats per position in <see cref="For"/>: Pairs cosines, then Pairs sines.</summary>
    public int RowLength => 2 * Pairs;

    /// <summary>The table for positions 0..<paramref name="positions"/>-1 at least: [position, cos then sin].</summary>
    public float[] For(int positions)
    {
        float[] table = _cosSin;
        if (table.Length >= (long)positions * RowLength)
        {
            return table;
        }

        lock (_growth)
        {
            table = _cosSin;
            int known = RowLength == 0 ? positions : table.Length / RowLength;
            if (known >= positions)
            {
                return table;
            }

            int target = Math.Max(positions, Math.Max(256, 2 * known));
            var grown = new float[checked(target * RowLength)];
            table.CopyTo(grown, 0);
            for (int position = known; position < target; position++)
            {
                Span<float> row = grown.AsSpan(position * RowLength, RowLength);
                for (int pair = 0; pair < Pairs; pair++)
                {
                    double angle = position * _inverseFrequencies[pair];
                    row[pair] = (float)(Math.Cos(angle) * _magnitude);
                    row[Pairs + pair] = (float)(Math.Sin(angle) * _magnitude);
                }
            }

            return _cosSin = grown;
        }
    }
}
