using System.Globalization;
using Spectre.Console;

namespace Cleave.Cli.Demonstration;

/// <summary>The demo's last word: both decoders side by side, and whether their tokens are the same.</summary>
internal static class DemoTable
{
    /// <summary>The first answer whose tokens differ, counted from 1, or 0 when all are equal.</summary>
    public static int FirstDifference(DecoderTotals baseline, DecoderTotals best)
    {
        for (int i = 0; i < baseline.Answers.Count; i++)
        {
            if (!baseline.Answers[i].Tokens.SequenceEqual(best.Answers[i].Tokens))
            {
                return i + 1;
            }
        }

        return 0;
    }

    /// <summary>Writes the table.</summary>
    public static void Write(IAnsiConsole console, DecoderTotals baseline, DecoderTotals best, bool local)
    {
        Table table = new Table().Border(TableBorder.Rounded)
            .AddColumn("").AddColumn(baseline.Decoder, c => c.RightAligned()).AddColumn(best.Decoder, c => c.RightAligned());
        void Row(string name, Func<DecoderTotals, string> value, bool strong = false)
        {
            string mark = strong ? "bold" : "default";
            table.AddRow($"[{mark}]{name}[/]", $"[{mark}]{value(baseline)}[/]", $"[{mark}]{value(best)}[/]");
        }

        Row("tokens per second", static t => Text($"{t.TokensPerSecond:F1}"), strong: true);
        Row("tokens per round trip", static t => Text($"{t.TokensPerRoundTrip:F2}"), strong: true);
        Row("tokens / round trips", static t => Text($"{t.Tokens} / {t.RoundTrips}"));
        Row("time to first token", static t => Text($"{t.TimeToFirstTokenMs:F0} ms"));
        table.AddRow("[dim]time per token, prompt included[/]", "", "");
        Row("  network", static t => Text($"{t.PerToken(static m => m.NetworkMs):F2} ms"));
        Row("  head", static t => Text($"{t.PerToken(static m => m.HeadMs):F2} ms"));
        Row(local ? "  middle" : "  middle (worker)", static t => Text($"{t.PerToken(static m => m.MiddleMs):F2} ms"));
        Row("  tail", static t => Text($"{t.PerToken(static m => m.TailMs):F2} ms"));
        Row("  draft", static t => Text($"{t.PerToken(static m => m.DraftMs):F2} ms"));
        Row("  codec", static t => Text($"{t.PerToken(static m => m.CodecMs):F2} ms"));
        if (!local)
        {
            Row("bytes up / down per token", static t => Text($"{t.BytesPerToken(static s => s.BytesUp):F0} / {t.BytesPerToken(static s => s.BytesDown):F0}"));
        }

        bool identical = FirstDifference(baseline, best) == 0;
        table.AddRow("[bold]identical[/]", "", identical ? "[bold green]yes[/]" : "[bold red]no[/]");
        console.Write(table);
    }

    private static string Text(FormattableString text) => Markup.Escape(text.ToString(CultureInfo.InvariantCulture));
}
