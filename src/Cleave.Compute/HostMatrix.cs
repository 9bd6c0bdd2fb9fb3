namespace Cleave.Compute;

/// <summary>
/// A float32 matrix [rows, columns] in host memory at a fixed address: weights that are computed rather than read from a file,
/// such as those being trained. The CPU reads it where it lies, so a product sees <see cref="Values"/> as they are at the call; a
/// device that copies weights sees them as they were at <see cref="IComputeDevice.LoadWeight"/>.
/// </summary>
public sealed unsafe class HostMatrix
{
    /// <param name="rows">Outputs of the product.</param>
    /// <param name="columns">Inputs of the product.</param>
    /// <param name="name">Name in messages.</param>
    public HostMatrix(int rows, int columns, string name = "matrix")
        : this(rows, columns, [rows, columns], name)
    {
    }

    private HostMatrix(int rows, int columns, IReadOnlyList<long> shape, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        Rows = rows;
        Columns = columns;
        Values = GC.AllocateArray<float>(checked(rows * columns), pinned: true);
        fixed (float* first = Values)
        {
            // Pinned for life: the address stays true when this scope ends.
            Tensor = new TensorData(name, ElementType.F32, shape, (byte*)first, 4L * Values.Length, Values);
        }
    }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>The numbers, row by row.</summary>
    public float[] Values { get; }

    /// <summary>The same memory as a tensor.</summary>
    public TensorData Tensor { get; }

    /// <summary>A vector: shape [length] instead of [1, length].</summary>
    public static HostMatrix Vector(int length, string name = "vector") => new(1, length, [length], name);

    /// <summary>Row <paramref name="row"/>.</summary>
    public Span<float> Row(int row) => Values.AsSpan(row * Columns, Columns);
}
