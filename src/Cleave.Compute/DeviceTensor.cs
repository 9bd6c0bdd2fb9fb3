namespace Cleave.Compute;

/// <summary>
/// Float32 activations on a device: [rows, columns], rows <see cref="Stride"/> floats apart. A tensor may be a view of
/// some columns of another (<see cref="Columns(int, int)"/>); a view is not disposed.
/// </summary>
public abstract class DeviceTensor : IDisposable
{
    /// <summary>Rows allocated; an operation may use fewer.</summary>
    public abstract int RowCapacity { get; }

    /// <summary>Columns of this tensor or view.</summary>
    public abstract int ColumnCount { get; }

    /// <summary>Floats from one row to the next.</summary>
    public abstract int Stride { get; }

    /// <summary>A view of columns [start, start + count) of every row.</summary>
    public abstract DeviceTensor Columns(int start, int count);

    /// <summary>A view of rows [start, start + count).</summary>
    public abstract DeviceTensor Rows(int start, int count);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the device memory; does nothing for a view.</summary>
    protected abstract void Dispose(bool disposing);
}
