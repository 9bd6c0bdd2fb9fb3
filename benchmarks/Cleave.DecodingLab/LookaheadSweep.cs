using System.Globalization;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Inference.Tests.Simulation;
using Cleave.Models;

namespace Cleave.DecodingLab;

/// <summary>
/// Lookahead's W, N and G over recorded prompts. It guesses from what the target says after wrong tokens, so that the target really runs here;
/// time is the virtual clock's.
/// </summary>
internal static class LookaheadSweep
{
    private static readonly int[] s_windows = [4, 8, 12, 16];
    private static readonly int[] s_ngrams = [3, 4, 5];
    private static readonly int[] s_guesses = [4, 8, 16];

    public static async Task RunAsync(string modelPath, IReadOnlyList<Recording> recordings, VirtualLink link, int tokens)
    {
        VirtualClock clock = new();
        double workerMs = 0;
        using IModelSource source = ModelSource.Open(modelPath);
        using TrustedModel model = TrustedModel.Load(source, TokenizerLoader.Load(source), new MeteredDevice(new CpuDevice(), ms => clock.Compute(ms)), Cut.Default, 8192);
        using LayerStack layers = LayerStack.Load(new MeteredDevice(new CpuDevice(), ms => workerMs += ms), source, model.MiddleRange);
        using KvPool pool = layers.CreatePool(8192);
        Console.WriteLine($"{"W",3} {"N",3} {"G",3} {"tok/s",7} {"tok/trip",8} {"rows/trip",9}");
        foreach ((int w, int n, int g) in from w in s_windows from n in s_ngrams from g in s_guesses where (w * (n - 1)) + (g * (n - 1)) < 64 select (w, n, g))
        {
            (double ms, double made, double trips, double rows) = (0, 0, 0, 0);
            foreach (Recording recording in recordings)
            {
                clock = new VirtualClock();
                var middle = new VirtualMiddle(new LocalMiddle(layers, pool, 2048, new ComputeGate()), clock, link, () =>
                {
                    (double spent, workerMs) = (workerMs, 0);
                    return spent;
                });
                await using var generator = new TextGenerator(new SplitSession(model, middle, 2048) { Clock = clock }, new LookaheadDrafter(w, n, g));
                var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = tokens, StopAtEndOfTurn = false } };
                await foreach (DecodedToken _ in generator.GenerateAsync(recording.Prompt, options))
                {
                }

                GenerationStatistics done = generator.Statistics!;
                (ms, made, trips, rows) = (ms + done.TimeToFirstTokenMs + done.DecodeMs, made + done.Tokens, trips + done.RoundTrips, rows + done.RowsSent);
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{w,3} {n,3} {g,3} {1000 * made / ms,7:F2} {made / trips,8:F3} {rows / trips,9:F1}"));
        }
    }
}
