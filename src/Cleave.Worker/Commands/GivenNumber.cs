using System.CommandLine.Parsing;
using System.Globalization;

namespace Cleave.Worker.Commands;

/// <summary>A number on the command line, for validators: what is none is for the parser to name, which a question for its value would make throw.</summary>
internal static class GivenNumber
{
    /// <summary>True when an option was given and what follows it is a number.</summary>
    public static bool Is<T>(OptionResult result, out T number)
        where T : struct, IParsable<T>
    {
        number = default;
        return result.Tokens is [.., var token] && T.TryParse(token.Value, CultureInfo.InvariantCulture, out number);
    }
}
