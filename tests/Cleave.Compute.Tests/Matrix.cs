using System.Runtime.InteropServices;

namespace Cleave.Compute.Tests;

/// <summary>A weight matrix of random stored bits, and what it decodes to in double precision.</summary>
internal sealed unsafe class Matrix : IDisposable
{
    private readonly byte* _bytes;

    private Matrix(ElementType type, int outputs, int inputs, byte[] bytes)
    {
        // Exactly as long as the data: a kernel that reads past the end reads another allocation.
        _bytes = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, bytes.Length));
        bytes.CopyTo(new Span<byte>(_bytes, bytes.Length));
        Data = new TensorData("random", type, [outputs, inputs], _bytes, bytes.Length, null);
        Decoded = StoredNumbers.Decode(type, bytes, outputs * inputs);
    }

    public TensorData Data { get; }

    /// <summary>The stored numbers, [outputs, inputs].</summary>
    public double[] Decoded { get; }

    public static Matrix Random(Random random, ElementType type, int outputs, int inputs) =>
        new(type, outputs, inputs, StoredNumbers.Random(random, type, outputs * inputs));

    /// <summary>Any bits at all, those of infinities included.</summary>
    public static Matrix Unrestricted(Random random, ElementType type, int outputs, int inputs)
    {
        var bytes = new byte[type.RowBytes(outputs * inputs)];
        random.NextBytes(bytes);
        return new(type, outputs, inputs, bytes);
    }

    public void Dispose() => NativeMemory.Free(_bytes);
}
