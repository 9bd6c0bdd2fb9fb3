namespace Cleave.Cli;

/// <summary>What <c>cleave</c> returns to the shell.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>It could not be done; one line on stderr says why and what to do.</summary>
    public const int Failed = 1;

    /// <summary>The command line made no sense.</summary>
    public const int Usage = 2;

    /// <summary>It ran, and what it checked does not hold (the demo's outputs differ).</summary>
    public const int Mismatch = 3;

    /// <summary>A bug: an exception nobody expected.</summary>
    public const int Internal = 70;

    /// <summary>Stopped by Ctrl-C.</summary>
    public const int Cancelled = 130;
}
