namespace Cleave.Worker.Commands;

/// <summary>
/// Ends this process with the one that started it. The parent holds the writing end of the pipe that is our standard input
/// and never writes to it; however the parent dies, SIGKILL included, the system closes that end and the read returns.
/// </summary>
internal static class ParentWatch
{
    /// <summary>Cancelled when standard input ends.</summary>
    public static CancellationToken Start(TimeSpan graceful)
    {
        var gone = new CancellationTokenSource();
        var thread = new Thread(() =>
        {
            using Stream input = Console.OpenStandardInput();
            Span<byte> ignored = stackalloc byte[256];
            try
            {
                while (input.Read(ignored) > 0)
                {
                }
            }
            catch (IOException)
            {
                // As good as an end.
            }

            gone.Cancel();

            // Whatever hangs (a load from a dead disk, a stuck device): no orphan.
            Thread.Sleep(graceful);
            Environment.Exit(0);
        })
        { IsBackground = true, Name = "parent watch" };
        thread.Start();
        return gone.Token;
    }
}
