using Cleave.Gateway.Telemetry;
using Cleave.Protocol;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Cleave.Gateway.Hosting;

/// <summary>
/// Knows whether the worker can be used: answers report failures, and after one a session is opened in the background until it
/// works again, so that recovery does not wait for the next request.
/// </summary>
internal sealed class WorkerWatch(ServedModel model, TimeProvider time, ILogger<WorkerWatch> logger) : BackgroundService
{
    private readonly SemaphoreSlim _failed = new(0, 1);
    private volatile string? _problem;

    /// <summary>Why the worker cannot be used, or null.</summary>
    public string? Problem => _problem;

    /// <summary>Tells of a failed answer.</summary>
    public void Report(WireException exception)
    {
        if (exception.Error.Code is WireErrorCode.Busy or WireErrorCode.QuotaExceeded || _problem is not null)
        {
            return;
        }

        _problem = exception.Error.Message;
        logger.WorkerLost(exception.Error.Message);
        if (_failed.CurrentCount == 0)
        {
            _failed.Release();
        }
    }

    /// <summary>Tells of an answer that came.</summary>
    public void Succeeded()
    {
        if (_problem is not null)
        {
            _problem = null;
            logger.WorkerBack();
        }
    }

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The first session is opened before anyone asks: connecting and measuring take several round trips.
        await TryAsync(stoppingToken);
        while (true)
        {
            await _failed.WaitAsync(stoppingToken);
            for (double seconds = 0.5; _problem is not null; seconds = Math.Min(2 * seconds, 15))
            {
                await model.Pool.DropIdleAsync();
                await Task.Delay(TimeSpan.FromSeconds(seconds), time, stoppingToken);
                await TryAsync(stoppingToken);
            }
        }
    }

    private async Task TryAsync(CancellationToken cancellationToken)
    {
        try
        {
            await model.Pool.WarmAsync(cancellationToken);
            Succeeded();
        }
        catch (WireException exception)
        {
            Report(exception);
        }
    }
}
