namespace Cleave.Cli.Terminal;

/// <summary>
/// What the program is doing, on stderr: a line that overwrites itself on a terminal, plain lines elsewhere. Standard output
/// stays the result's alone.
/// </summary>
internal sealed class StatusLine : IDisposable
{
    private readonly bool _live = !Console.IsErrorRedirected;
    private bool _shown;

    /// <summary>Shows what is going on now.</summary>
    public void Say(string text)
    {
        if (_live)
        {
            Clear();
            Console.Error.Write(text + " ...");
            _shown = true;
        }
        else
        {
            Console.Error.WriteLine(text);
        }
    }

    /// <summary>Writes a line that stays.</summary>
    public void Note(string text)
    {
        Clear();
        Console.Error.WriteLine(text);
    }

    /// <summary>Writes a line that stays, while an answer may be half written on the same terminal.</summary>
    public void Interject(string text) => Note(_live ? $"\n[{text}]" : text);

    /// <summary>Takes the line away.</summary>
    public void Clear()
    {
        if (_shown)
        {
            Console.Error.Write("\r\e[2K");
            _shown = false;
        }
    }

    /// <inheritdoc />
    public void Dispose() => Clear();
}
