using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Cleave.Compute;

namespace Cleave.Models;

/// <summary>
/// The identity of a decoder layer: SHA-256 over its tensors in a canonical order that does not depend on the container,
/// so that a middle-only export and the file it was made from agree, and a layer quantised at load does not agree with
/// the layer as stored.
/// </summary>
/// <remarks>
/// Hashed bytes, in this order, integers little-endian:
/// <code>
/// "cleave-layer-1" 0x00
/// load transform, UTF-8, 0x00            (empty when tensors are used as stored)
/// for each LayerTensor in enum order that the layer has, then in a mixture Gate, Up, Down of expert 0, of expert 1, ...:
///     role name, ASCII; for an expert '#' and its index; 0x00
///     element type name, ASCII, 0x00
///     u32 number of dimensions, u64 each, outermost first
///     u64 byte length, the tensor's bytes
/// </code>
/// A fused tensor is hashed as the parts it stands for.
/// </remarks>
public static class LayerHash
{
    // Hashing in slices keeps spans within int lengths.
    private const int SliceBytes = 1 << 24;

    /// <summary>Lower-case hexadecimal SHA-256 of a layer.</summary>
    /// <param name="source">The model.</param>
    /// <param name="layer">Layer index; must be in <see cref="IModelSource.Layers"/>.</param>
    /// <param name="transform">What loading did to the stored numbers; null takes <see cref="IModelSource.LoadTransform"/>.</param>
    public static string Compute(IModelSource source, int layer, string? transform = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AppendText(hash, "cleave-layer-1");
        AppendText(hash, transform ?? source.LoadTransform);
        foreach (LayerTensor role in Enum.GetValues<LayerTensor>())
        {
            if (source.Layer(layer, role) is { } tensor)
            {
                Append(hash, role.ToString(), tensor);
            }
        }

        for (int expert = 0; expert < source.Config.Experts; expert++)
        {
            foreach (LayerTensor role in (ReadOnlySpan<LayerTensor>)[LayerTensor.Gate, LayerTensor.Up, LayerTensor.Down])
            {
                Append(hash, $"{role}#{expert}", source.Expert(layer, expert, role));
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void AppendText(IncrementalHash hash, string text)
    {
        hash.AppendData(Encoding.UTF8.GetBytes(text));
        hash.AppendData([0]);
    }

    private static unsafe void Append(IncrementalHash hash, string role, TensorData tensor)
    {
        AppendText(hash, role);
        AppendText(hash, tensor.Type.ToString());
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(number, (uint)tensor.Shape.Length);
        hash.AppendData(number[..4]);
        foreach (long dimension in tensor.Shape)
        {
            BinaryPrimitives.WriteInt64LittleEndian(number, dimension);
            hash.AppendData(number);
        }

        BinaryPrimitives.WriteInt64LittleEndian(number, tensor.ByteLength);
        hash.AppendData(number);
        for (long offset = 0; offset < tensor.ByteLength; offset += SliceBytes)
        {
            int length = (int)Math.Min(SliceBytes, tensor.ByteLength - offset);
            hash.AppendData(new ReadOnlySpan<byte>(tensor.Pointer + offset, length));
        }

        GC.KeepAlive(tensor);
        tensor.Release();
    }
}
