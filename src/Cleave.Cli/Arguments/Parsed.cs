using System.CommandLine.Parsing;

namespace Cleave.Cli.Arguments;

/// <summary>Lets options be read by parsers that throw <see cref="FormatException"/>: its message becomes the option's error.</summary>
internal static class Parsed
{
    /// <summary>Reads an option of one value.</summary>
    public static Func<ArgumentResult, T?> With<T>(Func<string?, T> parse) => result => Each(result, parse) is [var value, ..] ? value : default;

    /// <summary>Reads an option that may be repeated.</summary>
    public static T[] Each<T>(ArgumentResult result, Func<string?, T> parse)
    {
        var values = new List<T>();
        foreach (Token token in result.Tokens)
        {
            try
            {
                values.Add(parse(token.Value));
            }
            catch (FormatException exception)
            {
                result.AddError(exception.Message);
            }
        }

        return [.. values];
    }
}
