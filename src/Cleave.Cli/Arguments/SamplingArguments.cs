using System.CommandLine;
using System.Security.Cryptography;
using Cleave.Inference.Sampling;

namespace Cleave.Cli.Arguments;

/// <summary>How tokens are chosen: greedy unless a temperature is given.</summary>
internal sealed class SamplingArguments
{
    private readonly Option<double> _temperature = new("--temperature", "-t") { HelpName = "T", Description = "0 takes the most likely token; above 0 samples" };
    private readonly Option<int> _topK = new("--top-k") { HelpName = "K", Description = "Sample among the K most likely tokens (0: all)" };
    private readonly Option<double> _topP = new("--top-p") { HelpName = "P", Description = "Sample among the most likely tokens that together reach P", DefaultValueFactory = static _ => 1 };
    private readonly Option<double> _minP = new("--min-p") { HelpName = "P", Description = "Leave out tokens less likely than P times the most likely" };
    private readonly Option<double> _repetition = new("--repetition-penalty") { HelpName = "R", Description = "Divide the logits of tokens seen before by R", DefaultValueFactory = static _ => 1 };
    private readonly Option<double> _frequency = new("--frequency-penalty") { HelpName = "F", Description = "Subtract F for each earlier occurrence in the answer" };
    private readonly Option<double> _presence = new("--presence-penalty") { HelpName = "F", Description = "Subtract F from tokens that occur in the answer" };
    private readonly Option<ulong?> _seed = new("--seed") { HelpName = "N", Description = "Seed of the sampling; the same seed gives the same text (default: random, and reported)" };

    public SamplingArguments(Command command)
    {
        foreach (Option option in (Option[])[_temperature, _topK, _topP, _minP, _repetition, _frequency, _presence, _seed])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>The options asked for, with a seed in any case.</summary>
    /// <exception cref="CliException">A value is out of range.</exception>
    public SamplingOptions Read(ParseResult parsed)
    {
        var options = new SamplingOptions
        {
            Temperature = parsed.GetValue(_temperature),
            TopK = parsed.GetValue(_topK),
            TopP = parsed.GetValue(_topP),
            MinP = parsed.GetValue(_minP),
            RepetitionPenalty = parsed.GetValue(_repetition),
            FrequencyPenalty = parsed.GetValue(_frequency),
            PresencePenalty = parsed.GetValue(_presence),
            Seed = parsed.GetValue(_seed) ?? RandomSeed(),
        };
        return options.Validate() is { } problem ? throw new CliException(problem) : options;
    }

    /// <summary>True when a seed was asked for.</summary>
    public bool HasSeed(ParseResult parsed) => parsed.GetValue(_seed) is not null;

    // 53 bits: a seed survives readers of JSON that keep numbers as doubles.
    private static ulong RandomSeed() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) >> 11;
}
