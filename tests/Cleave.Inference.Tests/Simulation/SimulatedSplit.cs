using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Models;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>The bundled pair, split over a virtual link: its tokens are real, its time is that of a <see cref="VirtualClock"/>.</summary>
internal static class SimulatedSplit
{
    /// <summary>Tokens of one generation, and when the last of them was there.</summary>
    public static async Task<(int[] Tokens, double Milliseconds)> RunAsync(
        string decoder, VirtualLink link, SamplingOptions sampling, int[] prompt, int tokens, bool withDraft = true,
        ITokenMask? mask = null, Func<GenerationOptions, GenerationOptions>? options = null)
    {
        var clock = new VirtualClock();
        double workerMs = 0;
        using IModelSource source = ModelSource.Open(DemoModel.Path);
        var tokenizer = TokenizerLoader.Load(source);
        using TrustedModel model = TrustedModel.Load(source, tokenizer, new MeteredDevice(new CpuDevice(), clock.Compute), Cut.Default, 1024);
        using DraftModel? draft = withDraft ? DraftModel.Load(DemoModel.DraftPath, tokenizer, new MeteredDevice(new CpuDevice(), clock.Compute)) : null;
        using LayerStack layers = LayerStack.Load(new MeteredDevice(new CpuDevice(), ms => workerMs += ms), source, model.MiddleRange);
        using KvPool pool = layers.CreatePool(1024);
        var middle = new VirtualMiddle(new LocalMiddle(layers, pool, 512, new ComputeGate()), clock, link, () =>
        {
            (double ms, workerMs) = (workerMs, 0);
            return ms;
        });
        await using var generator = new TextGenerator(
            new SplitSession(model, middle, 512) { Clock = clock }, DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = draft }));
        var generated = new List<int>();
        var generation = new GenerationOptions { Sampling = sampling, Mask = mask, Decoding = new DecodingOptions { MaxTokens = tokens, StopAtEndOfTurn = false } };
        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options?.Invoke(generation) ?? generation, TestContext.Current.CancellationToken))
        {
            generated.Add(token.Token);
        }

        return ([.. generated], clock.NowMs);
    }
}
