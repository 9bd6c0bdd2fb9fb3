using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A worker that answers every frame as a test says, in this process.</summary>
/// <param name="answer">Frames to send after a frame was received; an empty array is silence.</param>
internal sealed class ScriptedWorker(Func<ClientFrame, IEnumerable<WorkerFrame>> answer) : ILink
{
    public static readonly byte[] Id = [.. Enumerable.Range(1, 16).Select(static i => (byte)i)];

    /// <summary>What it says of itself.</summary>
    public WorkerDescription Description { get; init; } = HostileWorker.Description;

    /// <summary>Streams opened so far.</summary>
    public int Streams { get; private set; }

    public string Name => "hostile";

    public HopAddress? Address { get; init; }

    public static OpenedFrame Opened(ulong resumedSeq = 0, ushort version = ProtocolVersion.Highest) => new(version, Id, Id, resumedSeq);

    /// <summary>The answer an honest worker would give.</summary>
    public static RowsFrame Honest(StepFrame step) => new(
        step.Seq, step.Epoch, step.Rows.ToArray().Select(static row => row.Id).ToArray(), default, 1, 1, new byte[step.Rows.Length * 16]);

    public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Description);

    public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken)
    {
        Streams++;
        return ValueTask.FromResult<ILinkStream>(new Stream(answer));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Stream(Func<ClientFrame, IEnumerable<WorkerFrame>> answer) : ILinkStream
    {
        private readonly System.Threading.Channels.Channel<IEnumerator<WorkerFrame>> _answers = System.Threading.Channels.Channel.CreateUnbounded<IEnumerator<WorkerFrame>>();
        private IEnumerator<WorkerFrame>? _current;

        public long BytesSent => 0;

        public long BytesReceived => 0;

        public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
        {
            if (frame is CloseFrame)
            {
                _answers.Writer.TryComplete();
            }
            else
            {
                _answers.Writer.TryWrite(answer(frame).GetEnumerator());
            }

            return ValueTask.CompletedTask;
        }

        public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
        {
            while (_current is null || !_current.MoveNext())
            {
                if (!await _answers.Reader.WaitToReadAsync(cancellationToken) || !_answers.Reader.TryRead(out _current))
                {
                    return null;
                }
            }

            return _current.Current;
        }

        public ValueTask DisposeAsync()
        {
            _answers.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }
    }
}
