using System.Text;

namespace Cleave.PrivacyLab.Study;

/// <summary>A table of the study, with all it takes to make it again.</summary>
/// <param name="Name">What the command calls it.</param>
/// <param name="Title">What it shows.</param>
/// <param name="Columns">Headings.</param>
/// <param name="Rows">Cells, as text.</param>
/// <param name="Notes">What must be known to read it.</param>
public sealed record StudyTable(
    string Name, string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows, IReadOnlyList<string> Notes)
{
    /// <summary>Command that made it.</summary>
    public string Command { get; init; } = "";

    /// <summary>Seconds it took.</summary>
    public double Seconds { get; init; }

    /// <summary>As GitHub Markdown.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.Append("### ").Append(Title).Append("\n\n");
        Line(text, Columns);
        Line(text, [.. Columns.Select(static _ => "---")]);
        foreach (IReadOnlyList<string> row in Rows)
        {
            Line(text, row);
        }

        text.Append('\n');
        foreach (string note in Notes)
        {
            text.Append(note).Append('\n');
        }

        return text.Append("\n`").Append(Command).Append("`\n").ToString();
    }

    private static void Line(StringBuilder text, IReadOnlyList<string> cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
}
