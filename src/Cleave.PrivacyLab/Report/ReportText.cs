using System.Globalization;
using System.Text;

namespace Cleave.PrivacyLab.Report;

/// <summary>A report as lines for a terminal.</summary>
public static class ReportText
{
    /// <summary>The report.</summary>
    public static string Write(PrivacyReport report)
    {
        var text = new StringBuilder();
        text.AppendLine(report.Verdict).AppendLine();
        foreach ((string name, string value) in Facts(report))
        {
            text.Append(name.PadRight(14)).AppendLine(value);
        }

        text.AppendLine().AppendLine("What attacks recovered, the worst that applies first (95 % intervals, documents drawn again):");
        Table(text, report.Findings);
        text.AppendLine().AppendLine("Guessing without activations:");
        Table(text, report.Baselines);
        text.AppendLine().AppendLine("More layers on your side, an 8-bit wire or a random split point raise an attacker's cost at most; they are not offered as protection.");
        text.AppendLine(CultureInfo.InvariantCulture, $"{report.Documents} documents, {report.Rows} rows, seed {report.Seed}, attacks version {report.AttackVersion}, {report.Date:yyyy-MM-dd HH:mm} UTC, {report.Seconds:F0} s");
        return text.ToString();
    }

    /// <summary>Everything but the attacks, by name.</summary>
    internal static IEnumerable<(string Name, string Value)> Facts(PrivacyReport report)
    {
        string noise = report.Noise is { } n
            ? string.Create(CultureInfo.InvariantCulture, $"epsilon {n.EpsilonPerToken:G4} per token, {n.EpsilonPerPrompt:G4} for the longest session measured, delta {n.Delta:G2}, sigma {n.SigmaOverClip:G3} of the clip norm")
            : "off";
        double perTokenUp = (double)report.Traffic.BytesUp / Math.Max(report.Traffic.Tokens, 1);
        double perTokenDown = (double)report.Traffic.BytesDown / Math.Max(report.Traffic.Tokens, 1);
        return
        [
            ("model", $"{report.Model.Name} ({report.Model.Path})"),
            ("sha-256", report.Model.Sha256),
            ("weights", report.Model.LocalWeightsArePublic ? "taken as public, head and tail too" : "head and tail taken as private, on your word"),
            ("layers", $"{report.Cut.Head} here, {report.Cut.Middle} on the worker, {report.Cut.Tail} here"),
            ("worker", report.Worker.KeyFingerprint is { } key ? $"{report.Worker.Address}, key {key}" : report.Worker.Address),
            ("attestation", report.Worker.Attestation),
            ("wire", report.Wire),
            ("side channel", report.SideChannel),
            ("noise", noise),
            ("bytes", string.Create(CultureInfo.InvariantCulture, $"{perTokenUp:F0} up and {perTokenDown:F0} down for each token of prompt and output, guesses included")),
            ("audit", report.Audit),
        ];
    }

    private static void Table(StringBuilder text, IReadOnlyList<Finding> findings)
    {
        foreach (Finding finding in findings)
        {
            text.AppendLine(string.Create(
                CultureInfo.InvariantCulture,
                $"  {finding.Tier,-4}{finding.Attack,-34}{finding.Reads,-14}{100 * finding.Top1,6:F1} % ({100 * finding.Low:F1} to {100 * finding.High:F1})  {finding.Note}"));
        }
    }
}
