using Cleave.Worker.Diagnostics;

namespace Cleave.Worker.Tenants;

/// <summary>Keeps a running worker's tenants equal to its tenant file, so that adding and revoking need no restart.</summary>
internal sealed class TenantWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(2);

    private readonly TenantFile _file;
    private readonly TenantTable _tenants;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private DateTime _stamp;

    public TenantWatch(TenantFile file, TenantTable tenants, TimeProvider time, ILogger logger)
    {
        _file = file;
        _tenants = tenants;
        _logger = logger;
        _stamp = file.Stamp;
        _timer = time.CreateTimer(_ => Look(), null, s_interval, s_interval);
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    internal void Look()
    {
        DateTime stamp = _file.Stamp;
        if (stamp == _stamp)
        {
            return;
        }

        try
        {
            _tenants.Replace(_file.Load());
            _stamp = stamp;
            WorkerLog.TenantsReloaded(_logger, _tenants.Tenants.Count);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            WorkerLog.TenantsUnreadable(_logger, e);
        }
    }
}
