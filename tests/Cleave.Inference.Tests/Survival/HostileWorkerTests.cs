using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Frames;

namespace Cleave.Inference.Tests.Survival;

/// <summary>Whatever a worker answers, a session ends in a refusal that says what was wrong, in bounded time and memory.</summary>
public sealed class HostileWorkerTests
{
    [Fact]
    public async Task An_honest_script_is_believed() => Assert.Null(await TalkAsync(new ScriptedWorker(frame => frame switch
    {
        OpenFrame => [ScriptedWorker.Opened()],
        StepFrame step => [ScriptedWorker.Honest(step)],
        _ => [],
    })));

    public static TheoryData<string, string> Lies => new()
    {
        { "too few rows", "returned 1 rows for the 2" },
        { "other rows", "or others than were sent" },
        { "too many rows", "returned 3 rows for the 2" },
        { "short payload", "wrong size" },
        { "long payload", "wrong size" },
        { "not a number", "not finite" },
        { "a later step", "step 1 was next" },
        { "a pong", "did not answer step 1" },
        { "opened again", "did not answer step 1" },
        { "the same answer for ever", "repeats answers" },
        { "taken back for ever", "again and again" },
        { "busy for ever", "had no room" },
        { "gone for ever", "again and again" },
        { "silence", "silent" },
        { "applied what was never sent", "are possible" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task A_lie_is_refused_by_name(string lie, string says)
    {
        var worker = new ScriptedWorker(frame => frame switch
        {
            OpenFrame { Resume: null } => [ScriptedWorker.Opened()],
            OpenFrame => lie == "applied what was never sent" ? [ScriptedWorker.Opened(99)] : [ScriptedWorker.Opened()],
            StepFrame step => Answer(lie, step),
            _ => [],
        });
        WireException? refused = await TalkAsync(worker);
        Assert.NotNull(refused);
        Assert.Contains(says, refused.Message, StringComparison.Ordinal);
        Assert.False(refused.Error.SessionSurvives && lie != "busy for ever");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(ProtocolVersion.Highest + 1)]
    public async Task A_version_that_was_not_offered_is_refused_by_name(int version)
    {
        WireException? refused = await TalkAsync(new ScriptedWorker(_ => [ScriptedWorker.Opened(version: (ushort)version)]));
        Assert.Equal(WireErrorCode.UnsupportedVersion, refused?.Error.Code);
        Assert.Contains($"version {version};", refused!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_newer_worker_that_dropped_our_version_is_refused_by_name()
    {
        using TrustedModel model = DemoModel.Load(new Cut(1, 1));
        var worker = new ScriptedWorker(_ => []);
        worker = new ScriptedWorker(_ => []) { Description = worker.Description with { MinVersion = ProtocolVersion.Highest + 1, MaxVersion = ProtocolVersion.Highest + 3 } };
        var roster = new WorkerRoster([worker], new WorkerMatch(model.Source, model.MiddleRange, WireType.F32).Check);
        WireException refused = await Assert.ThrowsAsync<WireException>(async () => await roster.PickAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.UnsupportedVersion, refused.Error.Code);
        Assert.Contains($"{ProtocolVersion.Highest + 1} to {ProtocolVersion.Highest + 3}", refused.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<WorkerFrame> Answer(string lie, StepFrame step)
    {
        RowsFrame honest = ScriptedWorker.Honest(step);
        byte[] notFinite = new byte[honest.Payload.Length];
        if (notFinite.Length > 0)
        {
            BitConverter.GetBytes(float.NaN).CopyTo(notFinite, 12);
        }

        return lie switch
        {
            "too few rows" => [honest with { RowIds = honest.RowIds[..1], Payload = honest.Payload[..16] }],
            "other rows" => [honest with { RowIds = new ulong[] { 1, 7 } }],
            "too many rows" => [honest with { RowIds = new ulong[] { 1, 2, 3 }, Payload = new byte[48] }],
            "short payload" => [honest with { Payload = honest.Payload[1..] }],
            "long payload" => [honest with { Payload = new byte[64] }],
            "not a number" => [honest with { Payload = notFinite }],
            "a later step" => [honest with { Seq = step.Seq + 1 }],
            "a pong" => [new PongFrame(1)],
            "opened again" => [ScriptedWorker.Opened()],
            "the same answer for ever" => Enumerable.Repeat(honest with { Seq = 0 }, int.MaxValue),
            "taken back for ever" => [new ErrorFrame(new WireError(WireErrorCode.ShuttingDown, "bye"))],
            "busy for ever" => [new ErrorFrame(new WireError(WireErrorCode.Busy, "full", SessionSurvives: true, RetryAfterMs: 1, Seq: step.Seq))],
            "gone for ever" => [new ErrorFrame(new WireError(WireErrorCode.UnknownSession, "gone", SessionSurvives: false))],
            "applied what was never sent" => [new ErrorFrame(new WireError(WireErrorCode.ShuttingDown, "bye"))],
            _ => [],
        };
    }

    private static async Task<WireException?> TalkAsync(ScriptedWorker worker)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        try
        {
            await using RemoteMiddle middle = await RemoteMiddle.OpenAsync(
                new WorkerRoster([worker], static _ => { }),
                new RemoteMiddleOptions
                {
                    Range = new LayerRange(1, 2),
                    HiddenSize = 4,
                    MaxTokens = 64,
                    RecoveryTimeout = TimeSpan.FromMilliseconds(200),
                    ReplyTimeout = TimeSpan.FromMilliseconds(300),
                },
                cancellationToken);
            await middle.SubmitAsync(default, new TreeRow[] { new(1, 0), new(2, 1) }, new float[8], cancellationToken);
            await middle.ReceiveAsync(cancellationToken);
            return null;
        }
        catch (WireException refused)
        {
            return refused;
        }
    }
}
