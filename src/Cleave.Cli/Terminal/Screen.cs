using Spectre.Console;

namespace Cleave.Cli.Terminal;

/// <summary>Standard output with colours and tables; plain text when it goes to a file or a pipe.</summary>
internal static class Screen
{
    // A table that fits a file as well as a log.
    private const int PlainWidth = 100;

    /// <summary>The console to write to.</summary>
    public static IAnsiConsole Create()
    {
        if (!Console.IsOutputRedirected)
        {
            return AnsiConsole.Console;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(Console.Out),
        });
        console.Profile.Width = PlainWidth;
        return console;
    }
}
