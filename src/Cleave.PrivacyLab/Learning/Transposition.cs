namespace Cleave.PrivacyLab.Learning;

/// <summary>Turns [rows, columns] into [columns, rows].</summary>
internal static class Transposition
{
    private const int Block = 32;

    public static void Apply(ReadOnlySpan<float> source, int rows, int columns, Span<float> destination)
    {
        for (int top = 0; top < rows; top += Block)
        {
            int bottom = Math.Min(top + Block, rows);
            for (int left = 0; left < columns; left += Block)
            {
                int right = Math.Min(left + Block, columns);
                for (int row = top; row < bottom; row++)
                {
                    for (int column = left; column < right; column++)
                    {
                        destination[(column * rows) + row] = source[(row * columns) + column];
                    }
                }
            }
        }
    }
}
