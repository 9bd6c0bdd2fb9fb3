using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A link on which the first ticket is refused for want of room, and its stream ended, as a worker does that counts streams of lost connections still.</summary>
/// <param name="inner">The way to the worker.</param>
/// <param name="retryAfterMs">What is said of when to come again; 0 for nothing.</param>
internal sealed class RefusingLink(ILink inner, int retryAfterMs) : ILink
{
    private int _left = 1;

    public string Name => inner.Name;

    public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => inner.DescribeAsync(cancellationToken);

    public async ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => new Stream(this, await inner.OpenStreamAsync(cancellationToken));

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private sealed class Stream(RefusingLink link, ILinkStream inner) : ILinkStream
    {
        private bool _isRefused;
        private bool _isTold;

        public long BytesSent => inner.BytesSent;

        public long BytesReceived => inner.BytesReceived;

        public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
        {
            _isRefused |= frame is OpenFrame { Resume: not null } && Interlocked.Decrement(ref link._left) == 0;
            return _isRefused ? ValueTask.CompletedTask : inner.SendAsync(frame, cancellationToken);
        }

        public ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
        {
            if (!_isRefused)
            {
                return inner.ReceiveAsync(cancellationToken);
            }

            WorkerFrame? refusal = _isTold ? null : new ErrorFrame(new WireError(WireErrorCode.QuotaExceeded, "The tenant has 16 streams, its cap (test).", RetryAfterMs: link.RetryAfterMs));
            _isTold = true;
            return ValueTask.FromResult(refusal);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }

    private int RetryAfterMs => retryAfterMs;
}
