namespace Cleave.Worker.Tenants;

/// <summary>
/// A token bucket of rows: one second's worth at most, refilled evenly. A frame may start when the bucket is not empty and
/// takes its rows even below zero, so frames larger than a second's worth pass and are paid off afterwards.
/// </summary>
internal sealed class RowBucket(TimeProvider time)
{
    private double _rows = double.PositiveInfinity;
    private long _filledAt = time.GetTimestamp();

    /// <summary>True when a frame may start now.</summary>
    public bool IsOpen(int rowsPerSecond)
    {
        Refill(rowsPerSecond);
        return _rows > 0;
    }

    /// <summary>Pays for a frame.</summary>
    public void Take(int rows) => _rows -= rows;

    /// <summary>Time until <see cref="IsOpen"/>.</summary>
    public TimeSpan UntilOpen(int rowsPerSecond)
    {
        Refill(rowsPerSecond);
        return _rows > 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((1e-6 - _rows) / rowsPerSecond);
    }

    private void Refill(int rowsPerSecond)
    {
        long now = time.GetTimestamp();
        double seconds = time.GetElapsedTime(_filledAt, now).TotalSeconds;
        _filledAt = now;
        _rows = Math.Min(_rows + (seconds * rowsPerSecond), rowsPerSecond);
    }
}
