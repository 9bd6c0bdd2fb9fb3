using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;

namespace Cleave.Endurance.Fuzz;

/// <summary>A valid frame of every kind, both ways.</summary>
internal static class SeedFrames
{
    private static readonly byte[] s_id = [.. Enumerable.Range(1, FrameCodec.SecretBytes).Select(static i => (byte)i)];

    /// <summary>What a client says.</summary>
    public static ClientFrame[] Client(int layerStart, int layerEnd, int hiddenSize) =>
    [
        new OpenFrame(ProtocolVersion.Highest, layerStart, layerEnd, WireType.F32, 64),
        new OpenFrame(ProtocolVersion.Highest, layerStart, layerEnd, WireType.Q8, 64, new ResumeTicket(s_id, s_id, 3)),
        Step(1, 0, [], [(1, 0), (2, 1), (3, 1)], hiddenSize),
        Step(2, 1, [1, 2], [(4, 2), (5, 4)], hiddenSize),
        new TruncateFrame(3, 2, 1),
        Step(4, 3, [], [(6, 1)], hiddenSize),
        new ForkFrame(5, 4),
        new PingFrame(7),
        new CloseFrame(),
        new OpenFrame(ProtocolVersion.Highest, layerStart, layerEnd, WireType.F32, 64)
        {
            TakesHop = true,
            Next = new NextHop("next.example", 7707, (byte[])[.. s_id, .. s_id], layerEnd + 2, s_id, s_id),
        },
    ];

    /// <summary>What a worker answers to a session of <see cref="ClientTarget"/>.</summary>
    public static WorkerFrame[] Worker(int hiddenSize) =>
    [
        new OpenedFrame(ProtocolVersion.Highest, s_id, s_id, 0),
        Rows(1, [1, 2], hiddenSize),
        Rows(2, [3], hiddenSize),
        new RowsFrame(3, 0, default, default, 0, 0, default),
        new PongFrame(7),
        new RowsFrame(4, 1, new ulong[] { 9 }, new byte[] { 5 }, 10, 20, new byte[4 * hiddenSize]),
        new ErrorFrame(new WireError(WireErrorCode.Busy, "full", SessionSurvives: true, RetryAfterMs: 100, Seq: 2)),
        new ErrorFrame(new WireError(WireErrorCode.UnknownSession, "gone", SessionSurvives: false)),
    ];

    private static StepFrame Step(ulong seq, ulong ack, ulong[] keep, (ulong Id, ulong Parent)[] rows, int hiddenSize) => new(
        seq, 0, ack, keep, rows.Select(static row => new StepRow(row.Id, row.Parent, RowFlags.Return)).ToArray(), new byte[rows.Length * 4 * hiddenSize]);

    private static RowsFrame Rows(ulong seq, ulong[] ids, int hiddenSize) => new(seq, 0, ids, default, 1, 2, new byte[ids.Length * 4 * hiddenSize]);
}
