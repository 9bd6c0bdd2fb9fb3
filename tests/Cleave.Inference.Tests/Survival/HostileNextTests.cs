using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker;
using Cleave.Worker.Chaining;
using Cleave.Worker.Scheduling;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A later worker of a chain that lies to the one before it: the session ends with a reason, in bounded time, and the worker before is none the worse.</summary>
public sealed class HostileNextTests
{
    public static TheoryData<string, string> Lies => new()
    {
        { "none", "" },
        { "too few rows", "rows were asked for" },
        { "short payload", "rows were asked for" },
        { "a later step", "was next" },
        { "opened again", "opened a session twice" },
        { "gone", "was lost" },
        { "busy for ever", "was lost" },
        { "silence", "was lost" },
        { "throws", "failed while passing frames on" },
        { "applied what was never sent", "are possible" },
        { "not a number", "not finite" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task A_lie_ends_the_session_by_name(string lie, string says)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        using var device = new CpuDevice(threads: 1);
        using WorkerModel model = WorkerModel.Load(ModelSource.Open(DemoModel.DraftPath), device, new LayerRange(1, 2), 256);
        int width = model.Config.HiddenSize;
        var limits = new ServingLimits { NextSilence = TimeSpan.FromMilliseconds(200), NextRecovery = TimeSpan.FromMilliseconds(300), NextTimeout = TimeSpan.FromSeconds(5) };
        var next = new ScriptedWorker(frame => frame switch
        {
            OpenFrame { Resume: null } => [ScriptedWorker.Opened()],
            OpenFrame => [ScriptedWorker.Opened(lie == "applied what was never sent" ? 9UL : 0)],
            StepFrame step => Answer(lie, step, width),
            _ => [],
        })
        {
            Address = new HopAddress("next.example", 7707, new byte[32]),
            Description = HostileWorker.Description with { LayerStart = 2, LayerEnd = 3, HiddenSize = width },
        };
        await using (var endpoint = new WorkerEndpoint(model, ChainScene.OneTenant(), limits, next: NextWorkers.At(["NEXT.example:7707"], _ => next)))
        {
            WorkerChain chain = await WorkerChain.ConnectAsync([new LoopbackLink(endpoint), next], new LayerRange(1, 3), static _ => static _ => { }, cancellationToken);
            WireException? refused = null;
            try
            {
                await using IMiddle middle = await chain.OpenAsync(
                    new RemoteMiddleOptions { Range = new LayerRange(1, 3), HiddenSize = width, MaxTokens = 64, RecoveryTimeout = TimeSpan.FromMilliseconds(100), ReplyTimeout = TimeSpan.FromSeconds(2) },
                    cancellationToken);
                await middle.SubmitAsync(default, new TreeRow[] { new(1, 0), new(2, 1) }, new float[2 * width], cancellationToken);
                await middle.ReceiveAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60), cancellationToken);
            }
            catch (WireException problem)
            {
                refused = problem;
            }

            Assert.Equal(lie == "none", refused is null);
            Assert.Contains(says, refused?.Message ?? "", StringComparison.Ordinal);
            for (int i = 0; i < 500 && endpoint.Sessions + endpoint.KvTokensUsed > 0; i++)
            {
                await Task.Delay(20, cancellationToken);
            }

            Assert.Equal(0, endpoint.Sessions);
        }

        Assert.Equal(0, model.Pool.Used);
    }

    private static IEnumerable<WorkerFrame> Answer(string lie, StepFrame step, int width)
    {
        int rowBytes = 4 * width;
        RowsFrame honest = new(step.Seq, step.Epoch, step.Rows.ToArray().Select(static row => row.Id).ToArray(), default, 1, 1, new byte[step.Rows.Length * rowBytes]);
        byte[] notFinite = new byte[honest.Payload.Length];
        if (step.Rows.Length == 0)
        {
            // The beginning of a replay with nothing to replay yet.
            return [honest];
        }

        BitConverter.GetBytes(float.NaN).CopyTo(notFinite, 0);
        return lie switch
        {
            "none" => [honest],
            "throws" => throw new InvalidOperationException("a fault within the worker (test)"),
            "too few rows" => [honest with { RowIds = honest.RowIds[..1], Payload = honest.Payload[..rowBytes] }],
            "short payload" => [honest with { Payload = honest.Payload[1..] }],
            "a later step" => [honest with { Seq = step.Seq + 1 }],
            "opened again" => [ScriptedWorker.Opened()],
            "gone" => [new ErrorFrame(new WireError(WireErrorCode.UnknownSession, "gone", SessionSurvives: false))],
            "busy for ever" => [new ErrorFrame(new WireError(WireErrorCode.Busy, "full", SessionSurvives: true, RetryAfterMs: 1, Seq: step.Seq))],
            "not a number" => [honest with { Payload = notFinite }],
            _ => [],
        };
    }
}
