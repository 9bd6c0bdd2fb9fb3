using System.Text.Json;
using Cleave.PrivacyLab.Report;
using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Tests;

/// <summary>What the report says, and what it never says.</summary>
public sealed class ReportTests
{
    // docs/THREAT-MODEL.md, "What Cleave does not claim".
    private static readonly string[] Forbidden =
    [
        "encrypt", "anonym", "cannot be recovered", "can not be recovered", "cannot be read", "raw text never leaves", "fully private", "zero-knowledge", "secure", "protects", "safe from",
    ];

    private static readonly Lazy<Task<PrivacyReport>> Measured = new(() => PrivacyMeter.MeasureAsync(
        new MeterSettings { ModelPath = LabScene.ModelPath, Documents = 4, PromptTokens = 24, OutputTokens = 4 }, CancellationToken.None));

    [Fact]
    public async Task TheWorstTierThatAppliesLeads()
    {
        PrivacyReport report = await Measured.Value;
        Assert.Equal("T3", report.Findings[0].Tier);
        Assert.True(report.Findings[0].Top1 >= 0.99, $"{report.Findings[0]}");
        Assert.Equal(report.Findings.OrderByDescending(static f => f.Applies).ThenByDescending(static f => f.Top1), report.Findings);
        Assert.StartsWith(VerdictLine.PublicWeights, ReportText.Write(report), StringComparison.Ordinal);
        Assert.Contains("can reconstruct this conversation", report.Verdict, StringComparison.Ordinal);
        Assert.All(report.Findings, static f => Assert.InRange(f.Top1, f.Low, f.High));
    }

    [Fact]
    public async Task NoReportPageOrVerdictSaysWhatIsForbidden()
    {
        PrivacyReport report = await Measured.Value;
        PrivacyReport noised = report with { Verdict = VerdictLine.Noised(8, 204), Noise = new ReportedNoise(8, 204, 1e-6, 1.3) };
        PrivacyReport tuned = report with { Verdict = VerdictLine.PrivateEnds(new RateInterval(0.5, 0.4, 0.6)) };
        foreach (PrivacyReport each in (PrivacyReport[])[report, noised, tuned, report with { Verdict = VerdictLine.Local }])
        {
            foreach (string text in (string[])[ReportText.Write(each), ReportPage.Write(each), JsonSerializer.Serialize(each, PrivacyReportJson.Default.PrivacyReport)])
            {
                Assert.All(Forbidden, word => Assert.DoesNotContain(word, text, StringComparison.OrdinalIgnoreCase));
            }
        }
    }

    [Fact]
    public async Task ThePageLoadsNothingFromElsewhereAndPlotsEveryFinding()
    {
        PrivacyReport report = (await Measured.Value) with { Worker = new ReportedWorker("<script>alert(1)</script>", null, "none") };
        string page = ReportPage.Write(report);
        Assert.All((string[])["<script", "src=", "href=", "url(", "@import", "http:", "https:"], outside => Assert.DoesNotContain(outside, page, StringComparison.OrdinalIgnoreCase));
        Assert.Equal(report.Findings.Count + report.Baselines.Count, page.Split("<rect").Length - 1);
        Assert.Contains("&lt;script&gt;", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonHoldsWhatTheTextSays()
    {
        PrivacyReport report = await Measured.Value;
        using var json = JsonDocument.Parse(JsonSerializer.Serialize(report, PrivacyReportJson.Default.PrivacyReport));
        Assert.Equal(report.Model.Sha256, json.RootElement.GetProperty("model").GetProperty("sha256").GetString());
        Assert.Equal(report.Findings.Count, json.RootElement.GetProperty("findings").GetArrayLength());
        Assert.Equal(report.Verdict, json.RootElement.GetProperty("verdict").GetString());
    }
}
