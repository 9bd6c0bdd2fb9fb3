using System.Security.Cryptography;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Names the arithmetic of the CPU kernels by what it does: a hash over the bits they give for fixed inputs. All paths give
/// the same bits, so the fingerprint does not tell them apart; a machine that computed differently would.
/// </summary>
internal static unsafe class KernelFingerprint
{
    private const int Count = 512;
    private static readonly Lazy<string> Computed = new(Compute);

    public static string Value => Computed.Value;

    private static string Compute()
    {
        KernelSet kernels = KernelTable.Select(null);
        using var buffer = new NativeBuffer(8 * Count * sizeof(float));
        float* x = (float*)buffer.Pointer;
        float* y = x + Count;
        float* z = y + Count;
        uint state = 12345;
        for (int i = 0; i < Count; i++)
        {
            state = (state * 1664525) + 1013904223;
            x[i] = ((int)state >> 8) / 1048576f;
            y[i] = x[i] * 0.37f;
        }

        // A tile reads a whole panel, however few of its outputs are wanted.
        using var panel = new NativeBuffer(KernelSet.PanelOutputs * (long)KernelSet.PanelStride(Count) * sizeof(float));
        new ReadOnlySpan<float>(y, Count).CopyTo(new Span<float>(panel.Pointer, Count));
        kernels.Tile(x, Count, 1, (float*)panel.Pointer, 1, Count, z, Count, null, TilePart.Whole);
        kernels.RmsNorm(x, y, 1e-5f, z + 16, Count - 16);
        float* silu = z + Count;
        kernels.GatedActivation(Activation.Silu, x, y, silu, Count);
        kernels.GatedActivation(Activation.GeluTanh, x, y, silu + Count, Count);
        kernels.GatedActivation(Activation.Gelu, x, y, silu + (2 * Count), Count);
        kernels.ScaleAndCap(x, 0.5f, 3f, Count);
        byte[] hash = SHA256.HashData(new ReadOnlySpan<byte>(buffer.Pointer, (int)buffer.ByteLength));
        return $"cpu-f32x16-v1:{Convert.ToHexStringLower(hash.AsSpan(0, 4))}";
    }
}
