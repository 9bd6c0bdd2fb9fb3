namespace Cleave.Protocol.Pairing;

/// <summary>
/// Finds a pairing link without putting its secret on a command line, where other users of the machine can read it:
/// <c>@FILE</c> reads a file's first line, <c>env:NAME</c> an environment variable, <c>-</c> a line of standard input.
/// A plain link is taken as it is.
/// </summary>
public static class PairingLinkSource
{
    private const int MaxFileBytes = 64 * 1024;

    /// <exception cref="FormatException">Nothing there, or not a link; the message never holds the secret.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static PairingLink Read(string argument, TextReader standardInput)
    {
        if (argument == "-")
        {
            return PairingLink.Parse(standardInput.ReadLine() ?? throw new FormatException("Standard input ended before a pairing link."));
        }

        if (argument.StartsWith("env:", StringComparison.Ordinal))
        {
            string name = argument[4..];
            return PairingLink.Parse(Environment.GetEnvironmentVariable(name) ?? throw new FormatException($"The environment has no variable {name} to hold a pairing link."));
        }

        return argument.StartsWith('@') ? PairingLink.Parse(FirstLine(argument[1..])) : PairingLink.Parse(argument);
    }

    private static string FirstLine(string path)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            throw new FormatException($"There is no file {path} to hold a pairing link.");
        }

        if (file.Length > MaxFileBytes)
        {
            throw new FormatException($"{path} has {file.Length} bytes: that is no pairing link.");
        }

        return File.ReadLines(path).FirstOrDefault(line => !string.IsNullOrWhiteSpace(line))
            ?? throw new FormatException($"{path} is empty: the worker writes its pairing link there once it is ready.");
    }
}
