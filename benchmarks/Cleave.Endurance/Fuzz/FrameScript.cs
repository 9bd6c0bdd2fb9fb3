using System.Buffers.Binary;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;

namespace Cleave.Endurance.Fuzz;

/// <summary>Several frames as one input: each after its length in two bytes. Any bytes are a script; a length past the end takes what is left.</summary>
internal static class FrameScript
{
    private const int MaxFrames = 64;

    /// <summary>Takes an input apart.</summary>
    public static List<byte[]> Split(ReadOnlySpan<byte> input)
    {
        var frames = new List<byte[]>();
        while (input.Length > 2 && frames.Count < MaxFrames)
        {
            int length = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(input), input.Length - 2);
            frames.Add(input.Slice(2, length).ToArray());
            input = input[(2 + length)..];
        }

        return frames;
    }

    /// <summary>Puts one together.</summary>
    public static byte[] Join(params IEnumerable<byte[]> frames) => [.. frames.SelectMany(static frame =>
    {
        byte[] bytes = new byte[2 + frame.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, checked((ushort)frame.Length));
        frame.CopyTo(bytes, 2);
        return bytes;
    })];

    /// <summary>A frame's bytes.</summary>
    public static byte[] Encode(ClientFrame frame)
    {
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        return bytes;
    }

    /// <inheritdoc cref="Encode(ClientFrame)"/>
    public static byte[] Encode(WorkerFrame frame)
    {
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        return bytes;
    }
}
