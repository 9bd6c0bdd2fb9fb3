using System.Buffers;
using System.Buffers.Binary;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;

namespace Cleave.Protocol.Tests.Codec;

public sealed class FrameCodecTests
{
    private static readonly byte[] s_id = [.. Enumerable.Range(0x10, 16).Select(i => (byte)i)];
    private static readonly byte[] s_secret = [.. Enumerable.Range(0xA0, 16).Select(i => (byte)i)];

    // The wire's own bytes. Changing one of these lines is a new protocol version.
    public static TheoryData<ClientFrame, string> ClientGolden => new()
    {
        { new OpenFrame(1, 2, 9, WireType.F16, 4096), "01010100 02000000 09000000 00100000 00 00000000000000" },
        {
            new OpenFrame(1, 2, 9, WireType.Q8, 4096, new ResumeTicket(s_id, s_secret, 0x0102030405060708)),
            "01030100 02000000 09000000 00100000 01 00000000000000"
            + "101112131415161718191A1B1C1D1E1F A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 0807060504030201"
        },
        { new OpenFrame(2, 2, 9, WireType.F16, 4096) { TakesHop = true }, "01010200 02000000 09000000 00100000 00 01 0000 00000000" },
        {
            new OpenFrame(2, 2, 9, WireType.F16, 4096) { Next = new NextHop("gpu.example", 7707, (byte[])[.. s_id, .. s_secret], 12, s_id, s_secret) },
            "01010200 02000000 09000000 00100000 00 00 5100 00000000"
            + "101112131415161718191A1B1C1D1E1F A0A1A2A3A4A5A6A7A8A9AAABACADAEAF 101112131415161718191A1B1C1D1E1F A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
            + "0C000000 1B1E 6770752E6578616D706C65"
        },
        {
            new StepFrame(7, 3, 5, new ulong[] { 40, 41 }, new StepRow[] { new(42, 41, RowFlags.Return), new(43, 42, RowFlags.Return | RowFlags.Dummy) }, new byte[] { 1, 2, 3, 4 }),
            "02000000 03000000 0700000000000000 0500000000000000 02000000 02000000"
            + "2800000000000000 2900000000000000 2A00000000000000 2B00000000000000 2900000000000000 2A00000000000000 0105 01020304"
        },
        { new StepFrame(1, 0, 0, default, default, default), "02000000 00000000 0100000000000000 0000000000000000 00000000 00000000" },
        { new TruncateFrame(9, 8, 513), "03000000 01020000 0900000000000000 0800000000000000" },
        { new ForkFrame(9, 8), "0400000000000000 0900000000000000 0800000000000000" },
        { new PingFrame(0xFEDCBA9876543210), "0500000000000000 1032547698BADCFE" },
        { new CloseFrame(), "0600000000000000" },
    };

    public static TheoryData<WorkerFrame, string> WorkerGolden => new()
    {
        {
            new OpenedFrame(1, s_id, s_secret, 6, 5),
            "81000100 00000000 0600000000000000 0500000000000000 101112131415161718191A1B1C1D1E1F A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
        },
        {
            new RowsFrame(7, 3, new ulong[] { 42, 43 }, new byte[] { 0b100 }, 17, 1900, new byte[] { 9, 8, 7, 6 }),
            "82000000 03000000 0700000000000000 11000000 6C070000 02000000 01000000 2A00000000000000 2B00000000000000 04 09080706"
        },
        { new PongFrame(3), "8300000000000000 0300000000000000" },
        { new ErrorFrame(new WireError(WireErrorCode.Busy, "full", true, 250, 12)), "84 01 0D00 FA000000 0C00000000000000 0400 66756C6C" },
    };

    [Theory]
    [MemberData(nameof(ClientGolden))]
    public void Client_frames_have_these_bytes(ClientFrame frame, string hex)
    {
        byte[] expected = Convert.FromHexString(hex.Replace(" ", ""));
        var writer = new ArrayBufferWriter<byte>();
        FrameCodec.Write(frame, writer);
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(writer.WrittenSpan));
        Assert.Equal(expected.Length, FrameCodec.Size(frame));
        Assert.True(FrameCodec.TryRead(expected, out ClientFrame? read, out _));
        AssertSame(frame, read!);
    }

    [Theory]
    [MemberData(nameof(WorkerGolden))]
    public void Worker_frames_have_these_bytes(WorkerFrame frame, string hex)
    {
        byte[] expected = Convert.FromHexString(hex.Replace(" ", ""));
        var writer = new ArrayBufferWriter<byte>();
        FrameCodec.Write(frame, writer);
        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(writer.WrittenSpan));
        Assert.Equal(expected.Length, FrameCodec.Size(frame));
        Assert.True(FrameCodec.TryRead(expected, out WorkerFrame? read, out _));
        AssertSame(frame, read!);
    }

    [Theory]
    [MemberData(nameof(ClientGolden))]
    public void Every_truncation_and_extension_of_a_client_frame_is_refused_or_is_another_whole_frame(ClientFrame frame, string hex)
    {
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        for (int length = 0; length < bytes.Length; length++)
        {
            // Only the payload has no length of its own: a step may lose a whole column of it.
            bool losesPayloadOnly = frame is StepFrame step && length >= bytes.Length - step.Payload.Length && step.Rows.Length > 0
                && (bytes.Length - length) % step.Rows.Length == 0;

            // An open frame with its ticket cut off announces one and has none.
            bool read = FrameCodec.TryRead(bytes.AsMemory(0, length), out ClientFrame? _, out WireError? error);
            Assert.Equal(losesPayloadOnly, read);
            Assert.Equal(!read, error is not null);
        }

        Assert.False(FrameCodec.TryRead((byte[])[.. bytes, 0], out ClientFrame? _, out _), hex);
    }

    [Fact]
    public void A_lying_count_is_refused_before_anything_is_allocated()
    {
        byte[] step = new byte[64];
        step[0] = 2;
        step[8] = 1;
        AssertRefusedWithoutAllocating(step, 24, 65_536, WireErrorCode.Malformed);
        AssertRefusedWithoutAllocating(step, 24, 65_537, WireErrorCode.TooLarge);
        AssertRefusedWithoutAllocating(step, 24, uint.MaxValue, WireErrorCode.TooLarge);
        AssertRefusedWithoutAllocating(step, 28, 65_536, WireErrorCode.Malformed);
        AssertRefusedWithoutAllocating(step, 28, int.MaxValue, WireErrorCode.TooLarge);

        byte[] rows = new byte[64];
        rows[0] = 130;
        rows[8] = 1;
        foreach ((int offset, uint lie) in new[] { (24, 65_536u), (24, uint.MaxValue), (28, 8192u), (28, uint.MaxValue) })
        {
            byte[] hostile = [.. rows];
            BinaryPrimitives.WriteUInt32LittleEndian(hostile.AsSpan(offset), lie);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.False(FrameCodec.TryRead(hostile, out WorkerFrame? _, out WireError? _));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4096);
        }
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("00", "unknown kind 0")]
    [InlineData("81", "unknown kind 129")]
    [InlineData("0600000000000001", "Reserved bytes 1 to 7")]
    [InlineData("01040100 02000000 09000000 00100000 00 00000000000000", "Wire type 4")]
    [InlineData("01000100 0A000000 09000000 00100000 00 00000000000000", "layers 10..9")]
    [InlineData("01000100 02000000 FFFFFFFF 00100000 00 00000000000000", "layers 2..4294967295")]
    [InlineData("01000100 02000000 09000000 00000080 00 00000000000000", "2147483648 KV tokens")]
    [InlineData("01000100 02000000 09000000 00100000 01 00000000000000", "resume flag 1")]
    [InlineData("02000000 00000000 0000000000000000 0000000000000000 00000000 00000000", "seq 0")]
    [InlineData("02000000 00000000 0500000000000000 0500000000000000 00000000 00000000", "ack 5")]
    [InlineData("02000000 00000000 0500000000000000 0000000000000000 00000000 00000000 00", "payload of 1 bytes")]
    [InlineData("02000000 00000000 0500000000000000 0000000000000000 02000000 00000000 0500000000000000 0500000000000000", "Id 1 of the kept rows is 5 after 5")]
    [InlineData("02000000 00000000 0500000000000000 0000000000000000 01000000 00000000 0000000000000000", "Id 0 of the kept rows is 0")]
    [InlineData("02000000 00000000 0500000000000000 0000000000000000 00000000 01000000 0500000000000000 0500000000000000 01", "parent 5")]
    [InlineData("02000000 00000000 0500000000000000 0000000000000000 00000000 01000000 0500000000000000 0400000000000000 08", "flags 8")]
    public void A_malformed_client_frame_is_refused_by_field(string hex, string expected)
    {
        Assert.False(FrameCodec.TryRead(Convert.FromHexString(hex.Replace(" ", "")), out ClientFrame? _, out WireError? error));
        Assert.Contains(expected, error!.Message);
    }

    [Theory]
    [InlineData(2, 1, "version 1 with resume flag 0 speaks of hops")]
    [InlineData(18, 0, "a next worker of 0 bytes")]
    [InlineData(18, 70, "a next worker of 70 bytes")]
    [InlineData(20, 1, "Reserved bytes 20 to 23")]
    [InlineData(17, 2, "hop flag 2")]
    [InlineData(88, 9, "for layers up to 9")]
    [InlineData(94, ' ', "no host name")]
    [InlineData(94, 0xC3, "no host name")]
    [InlineData(94, '[', "no host name")]
    public void An_open_frame_that_lies_about_the_next_worker_is_refused_by_field(int offset, byte lie, string expected)
    {
        byte[] bytes = new byte[24 + 81];
        FrameCodec.Write(new OpenFrame(2, 2, 9, WireType.F16, 4096) { TakesHop = true, Next = new NextHop("gpu.example", 7707, new byte[32], 12, s_id, s_secret) }, bytes);
        Assert.True(FrameCodec.TryRead(bytes, out ClientFrame? _, out _));
        bytes[offset] = lie;
        Assert.False(FrameCodec.TryRead(bytes, out ClientFrame? _, out WireError? error));
        Assert.Equal(WireErrorCode.Malformed, error!.Code);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void A_workers_error_cannot_drive_the_terminal_or_claim_this_sides_findings()
    {
        byte[] bytes = new byte[64];
        int size = FrameCodec.Write(new ErrorFrame(new WireError(WireErrorCode.WrongFingerprint, "a\u001b[2Jb\r\n\u202Ec")), bytes);
        Assert.True(FrameCodec.TryRead(bytes.AsMemory(0, size), out WorkerFrame? frame, out _));
        WireError error = Assert.IsType<ErrorFrame>(frame).Error;
        Assert.Equal("a?[2Jb???c", error.Message);
        Assert.Equal(WireErrorCode.Malformed, error.Code);
    }

    [Fact]
    public void A_message_that_is_too_long_is_cut_when_written_and_refused_when_read()
    {
        var frame = new ErrorFrame(new WireError(WireErrorCode.Busy, new string('\u20AC', 5000)));
        byte[] bytes = new byte[FrameCodec.Size(frame)];
        FrameCodec.Write(frame, bytes);
        Assert.True(bytes.Length <= 18 + FrameCodec.MaxErrorMessageBytes);
        Assert.True(FrameCodec.TryRead(bytes, out WorkerFrame? _, out _));

        byte[] longer = new byte[18 + 2000];
        longer[0] = 132;
        BinaryPrimitives.WriteUInt16LittleEndian(longer.AsSpan(16), 2000);
        Assert.False(FrameCodec.TryRead(longer, out WorkerFrame? _, out _));
    }

    [Fact]
    public void Random_frames_read_back() => Frames.Client.Sample(
        frame =>
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            Assert.Equal(bytes.Length, FrameCodec.Write(frame, bytes));
            Assert.True(FrameCodec.TryRead(bytes, out ClientFrame? read, out WireError? error), error?.Message);
            AssertSame(frame, read!);
        },
        iter: 2000);

    [Fact]
    public void Random_worker_frames_read_back() => Frames.Worker.Sample(
        frame =>
        {
            byte[] bytes = new byte[FrameCodec.Size(frame)];
            Assert.Equal(bytes.Length, FrameCodec.Write(frame, bytes));
            Assert.True(FrameCodec.TryRead(bytes, out WorkerFrame? read, out WireError? error), error?.Message);
            AssertSame(frame, read!);
        },
        iter: 2000);

    private static void AssertRefusedWithoutAllocating(byte[] frame, int offset, uint lie, WireErrorCode code)
    {
        byte[] hostile = [.. frame];
        BinaryPrimitives.WriteUInt32LittleEndian(hostile.AsSpan(offset), lie);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(FrameCodec.TryRead(hostile, out ClientFrame? _, out WireError? error));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4096);
        Assert.Equal(code, error!.Code);
    }

    // Records compare memory by identity, so frames are compared by content.
    private static void AssertSame(object expected, object actual) => Assert.Equivalent(Flatten(expected), Flatten(actual), strict: true);

    private static object Flatten(object frame) => frame switch
    {
        OpenFrame f => (f.Version, f.LayerStart, f.LayerEnd, f.WireType, f.MaxKvTokens, Ticket: f.Resume is null ? "" : Convert.ToHexString(f.Resume.SessionId.Span) + Convert.ToHexString(f.Resume.Secret.Span) + f.Resume.LastReceivedSeq,
            f.TakesHop, Next: f.Next is null ? "" : $"{f.Next.Address} {f.Next.LayerEnd} {f.Next.Ticket.ToSecretString()} {Convert.ToHexString(f.Next.Fingerprint.Span)}"),
        StepFrame f => (f.Seq, f.Epoch, f.Ack, string.Join(',', f.Keep.ToArray()), string.Join(',', f.Rows.ToArray()), Convert.ToHexString(f.Payload.Span)),
        OpenedFrame f => (f.Version, f.ResumedSeq, f.AnswersSeq, Convert.ToHexString(f.SessionId.Span), Convert.ToHexString(f.Secret.Span)),
        RowsFrame f => (f.Seq, f.Epoch, string.Join(',', f.RowIds.ToArray()), Convert.ToHexString(f.Dropped.Span), f.QueueMicros, f.ComputeMicros, Convert.ToHexString(f.Payload.Span)),
        _ => frame,
    };
}
