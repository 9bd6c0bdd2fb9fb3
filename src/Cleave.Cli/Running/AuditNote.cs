using Cleave.Cli.Terminal;
using Cleave.Inference.Audit;

namespace Cleave.Cli.Running;

/// <summary>Settles a run's audit and says what it found.</summary>
internal static class AuditNote
{
    /// <summary>False when the worker did not compute this model.</summary>
    public static async Task<bool> ShowAsync(SplitHost host, StatusLine status, CancellationToken cancellationToken)
    {
        (bool drawn, AuditReport? report) = await host.Audit.SettleAsync(cancellationToken);
        if (drawn)
        {
            status.Note(report!.ToString());
        }

        return report?.Passed ?? true;
    }
}
