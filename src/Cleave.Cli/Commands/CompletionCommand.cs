using System.CommandLine;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave completion SHELL</c>: a script that completes commands, options and their values with the Tab key.</summary>
internal sealed class CompletionCommand : TaughtCommand
{
    // The program itself knows what may come next: "cleave [suggest:POSITION] LINE" prints it, one word a line.
    private static readonly Dictionary<string, string> Scripts = new(StringComparer.Ordinal)
    {
        ["bash"] = """
            _cleave() {
              local IFS=$'\n'
              COMPREPLY=($(compgen -W "$(cleave "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
            }
            complete -o default -F _cleave cleave
            """,
        ["zsh"] = """
            #compdef cleave
            _cleave() {
              local -a words_next
              words_next=(${(f)"$(cleave "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)"})
              compadd -a words_next || _files
            }
            compdef _cleave cleave
            """,
        ["fish"] = """
            function __cleave_complete
              set -l line (commandline -cp)
              cleave "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
            end
            complete -c cleave -a "(__cleave_complete)"
            """,
    };

    private readonly Argument<string> _shell = new("shell") { Description = "bash, zsh or fish" };

    public CompletionCommand()
        : base("completion", "Print a script for the shell that completes commands and options")
    {
        _shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        Arguments.Add(_shell);
        SetAction(parsed => Console.Out.WriteLine(Scripts[parsed.GetValue(_shell)!]));
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("source <(cleave completion bash)", "in ~/.bashrc"),
        ("cleave completion zsh > \"${fpath[1]}/_cleave\"", "once, for zsh"),
        ("cleave completion fish > ~/.config/fish/completions/cleave.fish", "once, for fish"),
    ];
}
