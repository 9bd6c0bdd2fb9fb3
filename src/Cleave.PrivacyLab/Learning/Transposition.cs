namespace Cleave.PrivacyLab.Learning;

/// <summary>Turns [rows, columns] into [columns, rows], in tiles that threads share.</summary>
internal static class Transposition
{
    private const int Tile = 256;
    private const int Block = 32;

    /// <summary>The rows of <paramref name="source"/> that start at its number <paramref name="offset"/>.</summary>
    public static void Apply(float[] source, int offset, int rows, int columns, float[] destination)
    {
        int across = (columns + Tile - 1) / Tile;
        Parallel.For(0, (rows + Tile - 1) / Tile * across, tile =>
        {
            int top = tile / across * Tile;
            int left = tile % across * Tile;
            int bottom = Math.Min(top + Tile, rows);
            int right = Math.Min(left + Tile, columns);
            for (int row = top; row < bottom; row += Block)
            {
                for (int column = left; column < right; column += Block)
                {
                    Turn(source.AsSpan(offset), rows, columns, destination, row, Math.Min(row + Block, bottom), column, Math.Min(column + Block, right));
                }
            }
        });
    }

    private static void Turn(ReadOnlySpan<float> source, int rows, int columns, Span<float> destination, int top, int bottom, int left, int right)
    {
        for (int row = top; row < bottom; row++)
        {
            for (int column = left; column < right; column++)
            {
                destination[(column * rows) + row] = source[(row * columns) + column];
            }
        }
    }
}
