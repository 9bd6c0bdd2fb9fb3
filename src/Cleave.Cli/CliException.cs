namespace Cleave.Cli;

/// <summary>An expected failure: what is wrong and what to do about it.</summary>
/// <param name="message">One line that names the file, option or value at fault.</param>
/// <param name="remedy">What to do, or null when the message says it all.</param>
internal sealed class CliException(string message, string? remedy = null) : Exception(message)
{
    /// <summary>What to do.</summary>
    public string? Remedy { get; } = remedy;
}
