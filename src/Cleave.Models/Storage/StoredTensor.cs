using Cleave.Compute;

namespace Cleave.Models.Storage;

/// <summary>Where a tensor lies: checked when its file was opened, mapped when asked for.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Type">Element encoding.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="File">The mapped file.</param>
/// <param name="Offset">First byte in the file.</param>
/// <param name="ByteLength">Bytes.</param>
internal sealed record StoredTensor(string Name, ElementType Type, long[] Shape, MappedFile File, long Offset, long ByteLength)
{
    /// <summary>Product of all dimensions but the last.</summary>
    public long Rows
    {
        get
        {
            long rows = 1;
            for (int i = 0; i < Shape.Length - 1; i++)
            {
                rows *= Shape[i];
            }

            return rows;
        }
    }

    /// <summary>The whole tensor.</summary>
    public unsafe TensorData Map() => new(Name, Type, Shape, File.At(Offset, ByteLength), ByteLength, File);

    /// <summary>"[96, 16]", outermost first.</summary>
    public static string Format(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
