using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A link that breaks at chosen frame boundaries: boundary i is just before or just after the i-th frame sent or received.</summary>
internal sealed class FaultyLink(ILink inner) : ILink
{
    private int _boundary;

    /// <summary>Boundary at which the stream breaks once; -1 never.</summary>
    public int BreakAt { get; set; } = -1;

    /// <summary>Time every answer takes longer.</summary>
    public int AnswerDelayMs { get; init; }

    /// <summary>Time it takes longer to say what it is: it is not picked first.</summary>
    public int DescribeDelayMs { get; init; }

    /// <summary>True when breaking takes the worker with it.</summary>
    public bool KillsWorker { get; set; }

    /// <summary>True once the worker is dead.</summary>
    public bool IsDead { get; set; }

    /// <summary>Told when the worker dies.</summary>
    public Action? Killed { get; init; }

    /// <summary>Told of every boundary.</summary>
    public Action? Passed { get; init; }

    /// <summary>Boundaries passed so far.</summary>
    public int Boundaries => _boundary;

    public string Name => inner.Name;

    public HopAddress? Address => inner.Address;

    public async ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken)
    {
        ThrowIfDead();
        await Task.Delay(AnswerDelayMs + DescribeDelayMs, cancellationToken);
        return await inner.DescribeAsync(cancellationToken);
    }

    public async ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken)
    {
        ThrowIfDead();
        return new FaultyStream(this, await inner.OpenStreamAsync(cancellationToken));
    }

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private void ThrowIfDead()
    {
        if (IsDead)
        {
            throw new WireException(new WireError(WireErrorCode.Unreachable, "the worker is dead (test)"));
        }
    }

    private sealed class FaultyStream(FaultyLink link, ILinkStream inner) : ILinkStream
    {
        private bool _broken;

        public long BytesSent => inner.BytesSent;

        public long BytesReceived => inner.BytesReceived;

        public async ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken)
        {
            await PassAsync();
            await inner.SendAsync(frame, cancellationToken);
            await PassAsync();
        }

        public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
        {
            await PassAsync();
            WorkerFrame? frame = await inner.ReceiveAsync(cancellationToken);
            if (link.AnswerDelayMs > 0)
            {
                await Task.Delay(link.AnswerDelayMs, cancellationToken);
            }

            await PassAsync();
            return frame;
        }

        public ValueTask DisposeAsync() => _broken ? ValueTask.CompletedTask : inner.DisposeAsync();

        private async ValueTask PassAsync()
        {
            link.Passed?.Invoke();
            if (link._boundary++ == link.BreakAt)
            {
                _broken = true;
                link.IsDead |= link.KillsWorker;
                link.Killed?.Invoke();
                await inner.DisposeAsync();
            }

            if (_broken)
            {
                throw new WireException(new WireError(WireErrorCode.LinkLost, "the link was cut (test)"));
            }
        }
    }
}
