using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Protocol.Tests.Links;

/// <summary>Telling a worker that a session is over, whatever the link and the worker do.</summary>
public sealed class FarewellTests
{
    private static readonly OpenFrame s_ticket = new(2, 1, 2, WireType.F32, 16, new ResumeTicket(new byte[16], new byte[16], ResumeTicket.NothingMissed));
    private static readonly OpenedFrame s_opened = new(2, new byte[16], new byte[16], 7);

    [Fact]
    public async Task A_link_that_comes_back_is_used()
    {
        var link = new Script(attempt => attempt < 3 ? throw Refusal(WireErrorCode.LinkLost) : answer => answer == 1 ? s_opened : null);
        await SayAsync(link);
        Assert.Equal(3, link.Attempts);
        Assert.Equal([s_ticket, new CloseFrame()], link.Sent);
    }

    [Theory]
    [InlineData(WireErrorCode.UnknownSession)]
    [InlineData(WireErrorCode.Unauthorized)]
    [InlineData(WireErrorCode.OutOfOrder)]
    public async Task A_refusal_is_the_end_of_it(WireErrorCode code)
    {
        var link = new Script(_ => _ => new ErrorFrame(Refusal(code).Error));
        await SayAsync(link);
        Assert.Equal(1, link.Attempts);
    }

    [Fact]
    public async Task A_disposed_link_is_the_end_of_it()
    {
        var link = new Script(_ => throw new ObjectDisposedException("link"));
        await SayAsync(link);
        Assert.Equal(1, link.Attempts);
    }

    [Fact]
    public async Task A_worker_that_answers_without_end_is_left_soon()
    {
        var link = new Script(_ => _ => s_opened);
        await SayAsync(link);
        Assert.Equal(1, link.Attempts);
        Assert.InRange(link.Answers, 100, 1000);
    }

    [Fact]
    public async Task Silence_is_tried_again_and_given_up()
    {
        var link = new Script(_ => null);
        await Farewell.SayAsync(link, s_ticket, TimeSpan.FromSeconds(4), TimeSpan.FromMilliseconds(500)).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.InRange(link.Attempts, 2, 10);
    }

    private static Task SayAsync(Script link) =>
        Farewell.SayAsync(link, s_ticket, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(30)).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

    private static WireException Refusal(WireErrorCode code) => new(new WireError(code, "no (test)"));

    /// <summary>A link whose streams answer as told: by the attempt, then by the answer, both counted from 1; null stays silent.</summary>
    private sealed class Script(Func<int, Func<int, WorkerFrame?>?> attempts) : ILink, ILinkStream
    {
        private Func<int, WorkerFrame?>? _answers;
        private int _answer;

        public int Attempts { get; private set; }

        public int Answers { get; private set; }

        public List<ClientFrame> Sent { get; } = [];

        public string Name => "script";

        public long BytesSent => 0;

        public long BytesReceived => 0;

        public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken)
        {
            _answers = attempts(++Attempts);
            _answer = 0;
            return ValueTask.FromResult<ILinkStream>(this);
        }

        public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
        {
            Sent.Add(frame);
            return ValueTask.CompletedTask;
        }

        public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
        {
            if (_answers is null)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            Answers++;
            return _answers!(++_answer);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
