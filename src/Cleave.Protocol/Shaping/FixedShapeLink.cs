using Cleave.Protocol.Links;

namespace Cleave.Protocol.Shaping;

/// <summary>A link whose sessions send frames of one size at a constant tick (<see cref="FrameShape"/>).</summary>
/// <param name="inner">The way to the worker; disposed with this one.</param>
/// <param name="shape">What the network may see.</param>
/// <param name="time">Clock of the tick.</param>
public sealed class FixedShapeLink(ILink inner, FrameShape shape, TimeProvider? time = null) : ILink
{
    private int _framesInFlight = 4;

    /// <inheritdoc />
    public string Name => inner.Name;

    /// <inheritdoc />
    public string? Identity => inner.Identity;

    /// <inheritdoc />
    public ILink Bare => inner.Bare;

    /// <summary>What the worker says, less the room padding takes.</summary>
    public async ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken)
    {
        WorkerDescription description = await inner.DescribeAsync(cancellationToken).ConfigureAwait(false);
        WorkerLimits limits = description.Limits;
        if (limits.MaxRowsPerStep < shape.Rows)
        {
            throw new WireException(new WireError(
                WireErrorCode.TooLarge, $"The worker takes {limits.MaxRowsPerStep} rows in a frame and the frame shape has {shape.Rows}; give a shape with fewer rows.", SessionSurvives: false));
        }

        _framesInFlight = Math.Max(1, limits.MaxFramesInFlight);
        return description with
        {
            Limits = limits with
            {
                MaxRowsPerStep = shape.Rows,
                MaxKvTokensPerSession = Math.Max(1, limits.MaxKvTokensPerSession - shape.Rows),
                MaxFramesInFlight = Math.Max(1, limits.MaxFramesInFlight / 2),
            },
        };
    }

    /// <inheritdoc />
    public async ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => new FixedShapeStream(
        await inner.OpenStreamAsync(cancellationToken).ConfigureAwait(false), shape, _framesInFlight, time ?? TimeProvider.System);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
