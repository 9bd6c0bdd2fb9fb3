using Cleave.Protocol;
using Cleave.Protocol.Codec;

namespace Cleave.PrivacyLab.Capture;

/// <summary>What is left of activations after the wire: encoded and decoded again.</summary>
public static class WireRounding
{
    /// <summary>Writes what a peer decodes. hidden, decoded: [rows, hiddenSize].</summary>
    public static void Apply(WireType wire, ReadOnlySpan<float> hidden, int hiddenSize, Span<float> decoded)
    {
        if (wire == WireType.F32)
        {
            hidden.CopyTo(decoded);
            return;
        }

        byte[] bytes = new byte[hidden.Length / hiddenSize * ActivationCodec.RowBytes(wire, hiddenSize)];
        if (!ActivationCodec.TryEncode(wire, hidden, hiddenSize, bytes, out int badRow)
            || !ActivationCodec.TryDecode(wire, bytes, hiddenSize, decoded, out badRow))
        {
            throw new InvalidOperationException($"row {badRow} holds a number that is not finite");
        }
    }
}
