using System.Globalization;
using System.Net;
using System.Text;

namespace Cleave.PrivacyLab.Report;

/// <summary>A report as one HTML page: no script, nothing loaded from elsewhere, plots as inline SVG.</summary>
public static class ReportPage
{
    private const int BarLeft = 300;
    private const int BarWidth = 420;
    private const int BarHeight = 26;

    private const string Style = """
        :root{color-scheme:light dark;--ink:#1c1c1c;--faint:#6b6b6b;--paper:#fff;--bad:#b3261e;--bar:#b3261e;--base:#7a8794;--line:#d9d9d9}
        @media(prefers-color-scheme:dark){:root{--ink:#ececec;--faint:#a0a0a0;--paper:#161616;--bad:#ff8a80;--bar:#ef6c62;--base:#8f9caa;--line:#3a3a3a}}
        body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;padding:0 1rem}
        .verdict{border-left:.3rem solid var(--bad);padding:.6rem 1rem;font-size:1.15rem}
        table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
        td.n{white-space:nowrap;font-variant-numeric:tabular-nums}svg{width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}footer{color:var(--faint)}
        """;

    /// <summary>The page.</summary>
    public static string Write(PrivacyReport report)
    {
        var page = new StringBuilder();
        page.Append("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Privacy of this split</title><style>")
            .Append(Style).Append("</style><h1>Privacy of this split</h1><p class=\"verdict\">").Append(Escape(report.Verdict)).Append("</p><table>");
        foreach ((string name, string value) in ReportText.Facts(report))
        {
            page.Append("<tr><th>").Append(Escape(name)).Append("</th><td>").Append(Escape(value)).Append("</td></tr>");
        }

        page.Append("</table><h2>What attacks recovered</h2>");
        Plot(page, report);
        page.Append("<table><tr><th>tier<th>attack<th>reads<th>recovered<th>among five<th>note</tr>");
        foreach (Finding finding in report.Findings.Concat(report.Baselines))
        {
            page.Append("<tr><td>").Append(Escape(finding.Tier)).Append("</td><td>").Append(Escape(finding.Attack)).Append("</td><td>").Append(Escape(finding.Reads))
                .Append(CultureInfo.InvariantCulture, $"</td><td class=\"n\">{100 * finding.Top1:F1} % ({100 * finding.Low:F1} to {100 * finding.High:F1})</td><td class=\"n\">{100 * finding.Top5:F1} %</td><td>")
                .Append(Escape(finding.Note)).Append("</td></tr>");
        }

        page.Append("</table><p>Tiers: N sizes and times only; T0 the worker's view; T1 pairs of activation and token; T2 public base weights; T3 all weights. Tier - is guessing without activations. ")
            .Append("More layers on your side, an 8-bit wire or a random split point raise an attacker's cost at most; they are not offered as protection.</p><footer>")
            .Append(CultureInfo.InvariantCulture, $"{report.Documents} documents, {report.Rows} rows, seed {report.Seed}, attacks version {report.AttackVersion}, {report.Date:yyyy-MM-dd HH:mm} UTC, {report.Seconds:F0} s. Intervals: 95 %, whole documents drawn again.")
            .Append("</footer></html>\n");
        return page.ToString();
    }

    private static void Plot(StringBuilder page, PrivacyReport report)
    {
        Finding[] bars = [.. report.Findings, .. report.Baselines];
        int height = (bars.Length * BarHeight) + 30;
        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {BarLeft + BarWidth + 60} {height}\" role=\"img\" aria-label=\"Share recovered by attack, with intervals\">");
        for (int percent = 0; percent <= 100; percent += 25)
        {
            double x = BarLeft + (BarWidth * percent / 100.0);
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:F1}\" y1=\"0\" x2=\"{x:F1}\" y2=\"{height - 22}\" stroke=\"var(--line)\"/><text x=\"{x:F1}\" y=\"{height - 6}\" text-anchor=\"middle\">{percent} %</text>");
        }

        for (int i = 0; i < bars.Length; i++)
        {
            Finding bar = bars[i];
            double y = (i * BarHeight) + 4;
            double middle = y + ((BarHeight - 8) / 2.0);
            string colour = bar.Tier == "-" ? "var(--base)" : "var(--bar)";
            page.Append(CultureInfo.InvariantCulture, $"<text x=\"{BarLeft - 8}\" y=\"{middle + 4:F1}\" text-anchor=\"end\">").Append(Escape($"{bar.Tier} {bar.Attack}, {bar.Reads}"))
                .Append(CultureInfo.InvariantCulture, $"</text><rect x=\"{BarLeft}\" y=\"{y:F1}\" width=\"{BarWidth * bar.Top1:F1}\" height=\"{BarHeight - 8}\" fill=\"{colour}\"/>")
                .Append(CultureInfo.InvariantCulture, $"<line x1=\"{BarLeft + (BarWidth * bar.Low):F1}\" y1=\"{middle:F1}\" x2=\"{BarLeft + (BarWidth * bar.High):F1}\" y2=\"{middle:F1}\" stroke=\"var(--ink)\" stroke-width=\"2\"/>");
        }

        page.Append("</svg>");
    }

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
