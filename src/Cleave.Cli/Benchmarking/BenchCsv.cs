using System.Globalization;
using System.Text;

namespace Cleave.Cli.Benchmarking;

/// <summary>A report's runs, a line each (RFC 4180).</summary>
internal static class BenchCsv
{
    /// <summary>The file's text.</summary>
    public static string Write(IReadOnlyList<BenchRun> runs)
    {
        var text = new StringBuilder(
            "decoder,ngram,kind,temperature,rttMs,upMbit,downMbit,measuredRttMs,prompts,tokens,roundTrips,tokensPerSecond,answerTokensPerSecond,tokensPerRoundTrip,p50,max,"
            + "acceptance,matchRate,rowsPerToken,draftMsPerToken,bytesUpPerToken,bytesDownPerToken,timeToFirstTokenMs,"
            + "networkMs,headMs,middleMs,tailMs,draftMs,codecMs,identical\n");
        foreach (BenchRun r in runs)
        {
            text.Append(CultureInfo.InvariantCulture, $"{r.Decoder},{r.NgramSize},{r.Kind},{r.Temperature},{r.RttMs},{r.UpMbit},{r.DownMbit},{r.MeasuredRttMs:F2},{r.Prompts},{r.Tokens},{r.RoundTrips},");
            text.Append(CultureInfo.InvariantCulture, $"{r.TokensPerSecond:F3},{r.AnswerTokensPerSecond:F3},{r.TokensPerRoundTrip:F3},{r.TokensPerRoundTripP50},{r.TokensPerRoundTripMax},{r.Acceptance:F4},{r.MatchRate:F4},");
            text.Append(CultureInfo.InvariantCulture, $"{r.RowsPerToken:F3},{r.DraftMsPerToken:F3},{r.BytesUpPerToken:F1},{r.BytesDownPerToken:F1},{r.TimeToFirstTokenMs:F1},");
            text.Append(CultureInfo.InvariantCulture, $"{r.TimingMs.Network:F1},{r.TimingMs.Head:F1},{r.TimingMs.Middle:F1},{r.TimingMs.Tail:F1},{r.TimingMs.Draft:F1},{r.TimingMs.Codec:F1},{r.Identical}\n");
        }

        return text.ToString();
    }
}
