using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Inference.Tests.Survival;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Endurance.Fuzz;

/// <summary>A client's session: an input is what a hostile worker answers. Whatever it is, the session ends in a refusal or in rows of finite numbers.</summary>
internal sealed class ClientTarget : IFuzzTarget
{
    private const int HiddenSize = HostileWorker.HiddenSize;
    private static readonly LayerRange s_range = new(1, 2);

    public string Name => "client";

    public IEnumerable<byte[]> Seeds()
    {
        byte[][] frames = [.. SeedFrames.Worker(HiddenSize).Select(FrameScript.Encode)];
        yield return FrameScript.Join(frames[..4]);
        yield return FrameScript.Join(frames[0], frames[1], frames[0], frames[2], frames[3]);
        yield return FrameScript.Join(frames[0], frames[6], frames[1]);
        yield return FrameScript.Join(frames[0], frames[1], frames[7], frames[0], frames[1], frames[2], frames[3]);
        yield return FrameScript.Join(frames);
    }

    public void Run(ReadOnlySpan<byte> input)
    {
        var link = new ScriptedLink(FrameScript.Split(input));
        TalkAsync(link).WaitAsync(TimeSpan.FromSeconds(20)).GetAwaiter().GetResult();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static async Task TalkAsync(ScriptedLink link)
    {
        try
        {
            var options = new RemoteMiddleOptions { Range = s_range, HiddenSize = HiddenSize, MaxTokens = 64, RecoveryTimeout = TimeSpan.Zero };
            await using RemoteMiddle middle = await RemoteMiddle.OpenAsync(new WorkerRoster([link], static _ => { }), options, CancellationToken.None);
            await StepAsync(middle, [], [new TreeRow(1, 0), new TreeRow(2, 1)]);
            await StepAsync(middle, [1, 2], [new TreeRow(3, 2)]);
            await middle.TruncateAsync(default, 1, CancellationToken.None);
        }
        catch (WireException)
        {
            // Refused: what a hostile worker gets.
        }
    }

    private static async Task StepAsync(RemoteMiddle middle, ulong[] keep, TreeRow[] rows)
    {
        await middle.SubmitAsync(keep, rows, new float[rows.Length * HiddenSize], CancellationToken.None);
        MiddleReply reply = await middle.ReceiveAsync(CancellationToken.None);
        if (reply.RowIds.Length != rows.Length || reply.Hidden.Length != rows.Length * HiddenSize || reply.Hidden.Span.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
        {
            throw new InvalidOperationException("rows were accepted that are not those asked for, or not finite");
        }
    }

    private sealed class ScriptedLink(List<byte[]> frames) : ILink, ILinkStream
    {
        private readonly Queue<byte[]> _frames = new(frames);

        public string Name => "hostile";

        public long BytesSent => 0;

        public long BytesReceived => 0;

        public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => ValueTask.FromResult(HostileWorker.Description);

        public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => ValueTask.FromResult<ILinkStream>(this);

        public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken) => !_frames.TryDequeue(out byte[]? bytes)
            ? ValueTask.FromResult<WorkerFrame?>(null)
            : FrameCodec.TryRead(bytes, out WorkerFrame? frame, out WireError? error)
                ? ValueTask.FromResult<WorkerFrame?>(frame)
                : ValueTask.FromException<WorkerFrame?>(new WireException(error!));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
