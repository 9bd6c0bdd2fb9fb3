namespace Cleave.Cli.Terminal;

/// <summary>Sizes as people read them, in powers of ten.</summary>
internal static class ByteText
{
    /// <summary>"1.23 GB", "45.6 MB", "7.8 kB".</summary>
    public static string Of(long bytes) => bytes switch
    {
        >= 1_000_000_000 => FormattableString.Invariant($"{bytes / 1e9:F2} GB"),
        >= 1_000_000 => FormattableString.Invariant($"{bytes / 1e6:F1} MB"),
        _ => FormattableString.Invariant($"{bytes / 1e3:F1} kB"),
    };
}
