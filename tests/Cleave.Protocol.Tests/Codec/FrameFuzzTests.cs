using Cleave.Protocol.Codec;
using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Tests.Codec;

/// <summary>Valid inputs, damaged: flipped bits, overwritten integers, cut, doubled. The parsers' promises are in <see cref="FrameFuzz"/>.</summary>
public sealed class FrameFuzzTests
{
    private static readonly Gen<Damage[]> s_damage = Gen.Select(Gen.Int[0, 4], Gen.Int[0, 1 << 20], Gen.UInt, (kind, at, value) => new Damage(kind, at, value)).Array[0, 6];

    private static readonly byte[] s_description = DescriptionCodec.Write(DescriptionCodecTests.Sample);

    private readonly record struct Damage(int Kind, int At, uint Value);

    [Fact]
    public void Damaged_client_frames() => Gen.Select(Frames.Client, s_damage).Sample(
        (frame, damage) =>
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            FrameCodec.Write(frame, bytes);
            FrameFuzz.ClientFrames(Apply(bytes, damage));
        },
        iter: 20_000);

    [Fact]
    public void Damaged_worker_frames() => Gen.Select(Frames.Worker, s_damage).Sample(
        (frame, damage) =>
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            FrameCodec.Write(frame, bytes);
            FrameFuzz.WorkerFrames(Apply(bytes, damage));
        },
        iter: 20_000);

    [Fact]
    public void Random_bytes_to_every_parser() => Gen.Byte.Array[0, 300].Sample(
        bytes =>
        {
            FrameFuzz.ClientFrames(bytes);
            FrameFuzz.WorkerFrames(bytes);
            FrameFuzz.Activations(bytes);
            FrameFuzz.Description(bytes);
            FrameFuzz.Pairing(bytes);
        },
        iter: 10_000);

    [Fact]
    public void Damaged_descriptions() => s_damage.Sample(damage => FrameFuzz.Description(Apply(s_description, damage)), iter: 5_000);

    [Fact]
    public void Damaged_pairing_links() => s_damage.Sample(
        damage => FrameFuzz.Pairing(Apply(System.Text.Encoding.UTF8.GetBytes(new PairingLink("worker.example", 7707, new byte[32], PairingLink.NewToken()).ToSecretString()), damage)),
        iter: 10_000);

    private static byte[] Apply(byte[] bytes, Damage[] damages)
    {
        byte[] result = [.. bytes];
        foreach (Damage damage in damages)
        {
            if (result.Length == 0)
            {
                break;
            }

            int at = damage.At % result.Length;
            switch (damage.Kind)
            {
                case 0:
                    result[at] ^= (byte)(1 << (int)(damage.Value % 8));
                    break;
                case 1:
                    result[at] = (byte)damage.Value;
                    break;
                case 2:
                    // The integers parsers trip over.
                    uint value = (damage.Value % 6) switch { 0 => 0, 1 => 1, 2 => int.MaxValue, 3 => uint.MaxValue, 4 => 65_536, _ => damage.Value };
                    BitConverter.GetBytes(value).AsSpan(0, Math.Min(4, result.Length - at)).CopyTo(result.AsSpan(at));
                    break;
                case 3:
                    result = result[..at];
                    break;
                default:
                    result = [.. result, .. result[at..]];
                    break;
            }
        }

        return result;
    }
}
