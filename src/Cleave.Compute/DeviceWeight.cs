namespace Cleave.Compute;

/// <summary>A weight matrix [outputs, inputs] on a device, in its stored element type (or one agreed at load).</summary>
public abstract class DeviceWeight : IDisposable
{
    /// <summary>Rows of the matrix: outputs of the product.</summary>
    public abstract int Outputs { get; }

    /// <summary>Columns of the matrix: inputs of the product.</summary>
    public abstract int Inputs { get; }

    /// <summary>Element type the kernels read.</summary>
    public abstract ElementType Type { get; }

    /// <summary>Bytes the device owns for this weight (0 when it reads a mapped file in place).</summary>
    public abstract long DeviceBytes { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the device memory.</summary>
    protected abstract void Dispose(bool disposing);
}
