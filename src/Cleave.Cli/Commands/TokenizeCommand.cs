using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Reports;
using Cleave.Inference;
using Cleave.Tokenization;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave tokenize</c>: the ids of a text.</summary>
internal sealed class TokenizeCommand : TaughtCommand
{
    private readonly ModelArgument _model = new();
    private readonly Option<string> _text = new("--text", "-t") { HelpName = "TEXT", Description = "Text to tokenize; - or nothing reads standard input" };
    private readonly Option<bool> _json = new("--json") { Description = "Print a JSON array of ids, without BOS" };
    private readonly Option<bool> _plain = new("--plain") { Description = "Treat text that spells a control token, such as <|end|>, as text" };

    public TokenizeCommand()
        : base("tokenize", "Show the tokens of a text; nothing leaves this machine")
    {
        foreach (Option option in (Option[])[_model, _text, _json, _plain])
        {
            Options.Add(option);
        }

        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave tokenize --text \"Hello, world\"", "each id with its text"),
        ("cleave tokenize --model tokenizer.json --text \"Hello\"", "a tokenizer alone: tokenizer.json, tokenizer.model, or a GGUF file of a vocabulary"),
        ("cleave tokenize --json < prompt.txt", "ids of a file as a JSON array"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        string text = parsed.GetValue(_text) is { } given and not "-" ? given : await Console.In.ReadToEndAsync(cancellationToken);
        Tokenizer tokenizer = TokenizerLoader.Open(_model.Path(parsed));
        int[] ids = tokenizer.Encode(text, parseSpecial: !parsed.GetValue(_plain));
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine("[" + string.Join(",", ids) + "]");
            return ExitCode.Success;
        }

        foreach (int id in ids)
        {
            Console.Out.WriteLine(FormattableString.Invariant($"{id,8}  {JsonSerializer.Serialize(tokenizer.TokenText(id), ReportJson.Output.String)}"));
        }

        Console.Error.WriteLine(FormattableString.Invariant($"{ids.Length} tokens for {text.Length} characters, BOS not counted"));
        return ExitCode.Success;
    }
}
