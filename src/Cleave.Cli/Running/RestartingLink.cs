using Cleave.Protocol;
using Cleave.Protocol.Links;

namespace Cleave.Cli.Running;

/// <summary>The way to a worker of our own that is started again when it has ended: sessions then replay to it by themselves.</summary>
/// <param name="first">The way to the first one.</param>
/// <param name="hasEnded">True when the present one has.</param>
/// <param name="restart">Starts another and gives the way to it.</param>
internal sealed class RestartingLink(ILink first, Func<bool> hasEnded, Func<CancellationToken, Task<ILink>> restart) : ILink
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private ILink _link = first;

    /// <inheritdoc />
    public string Name => _link.Name;

    /// <inheritdoc />
    public string? Identity => _link.Identity;

    /// <inheritdoc />
    public ILink Bare => _link.Bare;

    /// <inheritdoc />
    public async ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) =>
        await (await LiveAsync(cancellationToken)).DescribeAsync(cancellationToken);

    /// <inheritdoc />
    public async ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) =>
        await (await LiveAsync(cancellationToken)).OpenStreamAsync(cancellationToken);

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _link.DisposeAsync();
        _turn.Dispose();
    }

    private async ValueTask<ILink> LiveAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (hasEnded())
            {
                ILink ended = _link;
                try
                {
                    _link = await restart(cancellationToken);
                }
                catch (CliException exception)
                {
                    throw new WireException(new WireError(WireErrorCode.Unreachable, exception.Message));
                }

                await ended.DisposeAsync();
            }

            return _link;
        }
        finally
        {
            _turn.Release();
        }
    }
}
