namespace Cleave.Worker.Tests.Support;

/// <summary>The system's clock, which tells when the compute loop reads it: a test may act between two lines of a pass.</summary>
internal sealed class WatchedTime : TimeProvider
{
    /// <summary>Run on the compute loop's own thread, each time.</summary>
    public Action? Read { get; set; }

    public override long GetTimestamp()
    {
        if (Thread.CurrentThread.Name == "compute")
        {
            Read?.Invoke();
        }

        return base.GetTimestamp();
    }
}
