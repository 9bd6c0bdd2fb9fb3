using System.Globalization;
using Cleave.DecodingLab;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Tests.Simulation;

// record MODEL PROMPTS OUT [TOKENS]
// replay MODEL DRAFT RECORDINGS [decoders=a,b] [rtt=80] [mbit=100] [sampling=greedy] [frame=8] [ahead=0.3] [bytes=1552] [tokens=N] [every=N] [noise] [verbose] [lookahead]
// lookahead: its W, N and G instead of the decoders
// noise: the text's own tokens in a random order, so that hardly a guess is right
if (args is ["record", ..])
{
    await Recording.RecordAsync(args[1], args[2], args[3], args.Length > 4 ? int.Parse(args[4], CultureInfo.InvariantCulture) : 128);
    return;
}

Dictionary<string, string> settings = args.Skip(4).Select(a => a.Split('=')).ToDictionary(p => p[0], p => p.Length > 1 ? p[1] : "");
string Setting(string name, string fallback) => settings.GetValueOrDefault(name, fallback);
double Number(string name, double fallback) => double.Parse(Setting(name, fallback.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
List<Recording> recordings = [.. Recording.Load(args[3]).Where(r => r.Sampling == Setting("sampling", "greedy"))];
if (settings.ContainsKey("noise"))
{
    recordings = [.. recordings.Select((r, i) => r with { Output = new Random(i).GetItems(r.Output, r.Output.Length) })];
}

int tokens = (int)Number("tokens", 4096);
recordings = [.. recordings.Where((_, i) => i % (int)Number("every", 1) == 0).Select(r => r with { Output = r.Output[..Math.Min(tokens, r.Output.Length)] })];
if (settings.ContainsKey("lookahead"))
{
    var at = new VirtualLink { RttMs = Number("rtt", 80), UpMbit = Number("mbit", 100), DownMbit = Number("mbit", 100), RowBytes = (int)Number("bytes", 1552) };
    await LookaheadSweep.RunAsync(args[1], recordings, at, tokens);
    return;
}

using var replay = new Replay(args[1], args[2]);
var options = new DecodingOptions
{
    FrameRows = (int)Number("frame", 8),
    AheadCost = Number("ahead", 0.3),
    MaxRowsPerStep = (int)Number("maxrows", 64),
    Threshold = settings.ContainsKey("threshold") ? Number("threshold", 0.02) : null,
};
Console.WriteLine($"{"decoder",-20} {"rtt",5} {"kind",-15} {"tok/s",7} {"tok/trip",8} {"tok/verd",8} {"rows/tok",8} {"accept",7} {"draft/tok",9} {"stall/tok",9} {"frames/tr",9}");
foreach (double rtt in Setting("rtt", "80").Split(',').Select(t => double.Parse(t, CultureInfo.InvariantCulture)))
{
    double[] sequential = [];
    foreach (string decoder in Setting("decoders", "sequential,suffix,draft,pipelined,auto").Split(','))
    {
        var link = new VirtualLink { RttMs = rtt, UpMbit = Number("mbit", 100), DownMbit = Number("mbit", 100), RowBytes = (int)Number("bytes", 1552) };
        var results = new List<(string Kind, GenerationStatistics Statistics)>();
        foreach (Recording recording in recordings)
        {
            results.Add((recording.Kind, await replay.RunAsync(recording, decoder, link, options)));
        }

        double[] decodeMs = [.. results.Select(r => r.Statistics.TimeToFirstTokenMs + r.Statistics.DecodeMs)];
        sequential = decoder == "sequential" ? decodeMs : sequential;
        if (sequential.Length == decodeMs.Length)
        {
            double[] ratios = [.. sequential.Zip(decodeMs, (before, after) => before / after).Order()];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"whole answers against sequential: worst {ratios[0]:F3}, tenth part {ratios[ratios.Length / 10]:F3}, all {sequential.Sum() / decodeMs.Sum():F3}"));
        }

        foreach (IGrouping<string, (string Kind, GenerationStatistics Statistics)> group in results
            .Select(r => (Kind: r.Kind == "repeat" ? "repeat" : "ALL FOUR", r.Statistics))
            .Concat(settings.ContainsKey("verbose") ? results.Where(r => r.Kind != "repeat") : [])
            .GroupBy(r => r.Kind))
        {
            GenerationStatistics[] all = [.. group.Select(r => r.Statistics)];
            double made = all.Sum(s => s.Tokens);
            double ms = all.Sum(s => s.DecodeMs) / all.Sum(s => s.Tokens - (s.Steps.Count == 0 ? 0 : s.Steps[0].Tokens)) * made;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{decoder,-20} {rtt,5:F0} {group.Key,-15} {1000 * made / ms,7:F2} {made / all.Sum(s => s.RoundTrips),8:F2} {made / all.Sum(s => s.Steps.Count),8:F2} {all.Sum(s => s.RowsSent) / made,8:F1} {(double)all.Sum(s => s.Accepted) / Math.Max(1, all.Sum(s => s.Proposed)),7:F3} {all.Sum(s => s.Timings.DraftMs) / made,9:F2} {all.Sum(s => s.Steps.Sum(x => x.StallDraftMs)) / made,9:F2} {(double)all.Sum(s => s.Frames) / all.Sum(s => s.RoundTrips),9:F2}"));
        }
    }
}
