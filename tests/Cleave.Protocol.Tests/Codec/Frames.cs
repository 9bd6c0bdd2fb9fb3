using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Tests.Codec;

/// <summary>Generators of valid frames.</summary>
internal static class Frames
{
    private static readonly Gen<byte[]> s_secret = Gen.Byte.Array[16];

    private static readonly Gen<ulong[]> s_ids = Gen.ULong[1, 1000].Array[0, 40].Select(steps => steps.Select((_, i) => steps.Take(i + 1).Aggregate(0UL, (a, b) => a + b)).ToArray());

    private static readonly Gen<(ulong Seq, ulong Ack)> s_seq = Gen.Select(Gen.ULong[1, ulong.MaxValue], Gen.ULong, (seq, ack) => (seq, ack % seq));

    public static Gen<ClientFrame> Client { get; } = Gen.OneOf(
        Gen.Select(Gen.UShort, Gen.Int[0, 100], Gen.Int[0, 100], Gen.Int[0, 3], Gen.Int[0, int.MaxValue], (v, a, n, w, k) => (ClientFrame)new OpenFrame(v, a, a + n, (WireType)w, k)),
        Gen.Select(s_secret, s_secret, Gen.ULong, (id, secret, last) => (ClientFrame)new OpenFrame(1, 0, 4, WireType.F32, 10, new ResumeTicket(id, secret, last))),
        Gen.Select(s_secret, s_secret, Gen.Bool, Gen.String[Gen.Char.AlphaNumeric, 1, 60], Gen.Int[1, 65535], Gen.Int[5, int.MaxValue], (id, secret, hop, host, port, end) => (ClientFrame)new OpenFrame(2, 0, 4, WireType.F32, 10)
        {
            TakesHop = hop,
            Next = new NextHop("a" + host, port, (byte[])[.. id, .. secret], end, id, secret),
        }),
        Gen.Select(s_seq, s_ids, s_ids, Gen.Int[0, 7], Gen.Int[0, 40], Gen.UInt, Step),
        Gen.Select(s_seq, Gen.Int[0, int.MaxValue], (s, length) => (ClientFrame)new TruncateFrame(s.Seq, s.Ack, length)),
        s_seq.Select(s => (ClientFrame)new ForkFrame(s.Seq, s.Ack)),
        Gen.ULong.Select(n => (ClientFrame)new PingFrame(n)),
        Gen.Const((ClientFrame)new CloseFrame()));

    public static Gen<WorkerFrame> Worker { get; } = Gen.OneOf(
        Gen.Select(Gen.UShort, s_secret, s_secret, Gen.ULong, Gen.ULong, (v, id, secret, seq, answers) => (WorkerFrame)new OpenedFrame(v, id, secret, seq, answers)),
        Gen.Select(Gen.ULong[1, ulong.MaxValue], s_ids, Gen.Byte.Array[0, 8], Gen.Int[0, 40], Gen.UInt, Gen.UInt, (seq, ids, dropped, rowBytes, epoch, us) =>
            (WorkerFrame)new RowsFrame(seq, epoch, ids, dropped, us, us / 2, new byte[ids.Length * rowBytes])),
        Gen.ULong.Select(n => (WorkerFrame)new PongFrame(n)),
        Gen.Select(Gen.UShort[0, 0x7FFF], Gen.String[Gen.Char.AlphaNumeric, 0, 300], Gen.Bool, Gen.Int[0, int.MaxValue], Gen.ULong, (code, text, survives, retry, seq) =>
            (WorkerFrame)new ErrorFrame(new WireError((WireErrorCode)code, text, survives, retry, seq))));

    private static ClientFrame Step((ulong Seq, ulong Ack) s, ulong[] keep, ulong[] ids, int flags, int rowBytes, uint epoch)
    {
        StepRow[] rows = [.. ids.Select((id, i) => new StepRow(id, i == 0 ? id - 1 : ids[i / 2], (RowFlags)flags))];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = rows[i] with { ParentId = Math.Min(rows[i].ParentId, rows[i].Id - 1) };
        }

        byte[] payload = new byte[rows.Length * rowBytes];
        new Random(rowBytes).NextBytes(payload);
        return new StepFrame(s.Seq, epoch, s.Ack, keep, rows, payload);
    }
}
