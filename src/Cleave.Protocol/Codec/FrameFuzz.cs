using System.Text;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Migration;
using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Codec;

/// <summary>
/// One entry per parser for fuzzers: any bytes at all, nothing may throw but a broken promise. Each entry also checks
/// what a parser promises of what it accepts, so that a fuzzer finds wrong answers and not only crashes.
/// </summary>
public static class FrameFuzz
{
    private static readonly MigrationKey s_key = MigrationKey.Create();

    /// <summary>Frames as a worker reads them.</summary>
    public static void ClientFrames(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        if (!FrameCodec.TryRead(copy, out ClientFrame? frame, out WireError? error))
        {
            Promise(frame is null && error is { Message.Length: > 0 }, "a refusal has a reason");
            return;
        }

        // The format has one spelling of every frame, so writing gives the same bytes back.
        byte[] again = new byte[FrameCodec.Size(frame!)];
        FrameCodec.Write(frame!, again);
        Promise(again.AsSpan().SequenceEqual(copy), "an accepted client frame has one spelling");
    }

    /// <summary>Frames as a client reads them.</summary>
    public static void WorkerFrames(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        if (!FrameCodec.TryRead(copy, out WorkerFrame? frame, out WireError? error))
        {
            Promise(frame is null && error is { Message.Length: > 0 }, "a refusal has a reason");
            return;
        }

        // Error messages are cleaned of control characters, so they alone may change.
        if (frame is not ErrorFrame)
        {
            byte[] again = new byte[FrameCodec.Size(frame!)];
            FrameCodec.Write(frame!, again);
            Promise(again.AsSpan().SequenceEqual(copy), "an accepted worker frame has one spelling");
        }
    }

    /// <summary>Activations: the first byte picks wire type and hidden size, the rest is the payload.</summary>
    public static void Activations(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 2)
        {
            return;
        }

        var type = (WireType)(bytes[0] & 3);
        int hiddenSize = 1 + (bytes[0] >> 2);
        int rowBytes = ActivationCodec.RowBytes(type, hiddenSize);
        int rows = (bytes.Length - 1) / rowBytes;
        float[] decoded = new float[rows * hiddenSize];
        if (ActivationCodec.TryDecode(type, bytes.Slice(1, rows * rowBytes), hiddenSize, decoded, out int badRow))
        {
            foreach (float value in decoded)
            {
                Promise(float.IsFinite(value), "accepted activations are finite");
            }

            Promise(ActivationCodec.TryEncode(type, decoded, hiddenSize, new byte[rows * rowBytes], out _), "accepted activations encode");
        }
        else
        {
            Promise(badRow >= 0 && badRow < rows, "a refusal names a row");
        }
    }

    /// <summary>The answer to Describe.</summary>
    public static void Description(ReadOnlySpan<byte> bytes)
    {
        if (DescriptionCodec.TryRead(bytes.ToArray(), out WorkerDescription? description, out WireError? error))
        {
            Promise(description!.LayerHashes.Count == description.LayerEnd - description.LayerStart, "one hash per layer");
        }
        else
        {
            Promise(error is { Message.Length: > 0 }, "a refusal has a reason");
        }
    }

    /// <summary>Pairing links.</summary>
    public static void Pairing(ReadOnlySpan<byte> bytes)
    {
        if (PairingLink.TryParse(Encoding.UTF8.GetString(bytes), out PairingLink? link, out string? problem))
        {
            Promise(PairingLink.TryParse(link!.ToSecretString(), out PairingLink? again, out _) && again!.Token == link.Token && again.Port == link.Port, "a link reads back");
        }
        else
        {
            Promise(problem is { Length: > 0 }, "a refusal has a reason");
        }
    }

    /// <summary>Preambles of a connection carried on, and the answers to them.</summary>
    public static void Preamble(ReadOnlySpan<byte> bytes)
    {
        if (MigrationPreamble.TryRead(bytes, out MigrationPreamble preamble))
        {
            byte[] again = new byte[MigrationPreamble.Bytes];
            preamble.Write(s_key, 1, again);
            Promise(preamble is { Received: >= 0, From: >= 0 }, "places are not negative");
            Promise(again.AsSpan(0, again.Length - MigrationKey.ProofBytes).SequenceEqual(bytes[..^MigrationKey.ProofBytes]), "an accepted claim has one spelling");
            Promise(MigrationPreamble.IsProved(bytes, s_key, 1) == again.AsSpan().SequenceEqual(bytes), "one proof for a claim");
        }

        if (MigrationPreamble.TryReadAnswer(bytes, out long received))
        {
            byte[] again = new byte[MigrationPreamble.AnswerBytes];
            MigrationPreamble.WriteAnswer(received, again);
            Promise(again.AsSpan().SequenceEqual(bytes), "an accepted answer has one spelling");
        }
    }

    private static void Promise(bool kept, string what)
    {
        if (!kept)
        {
            throw new InvalidOperationException($"Broken promise: {what}.");
        }
    }
}
