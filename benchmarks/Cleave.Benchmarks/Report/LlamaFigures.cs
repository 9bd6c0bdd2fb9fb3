using Cleave.Compute;

namespace Cleave.Benchmarks.Report;

/// <summary>The bundled model against llama.cpp on the same file, in turn, llama.cpp with one thread and with two.</summary>
internal static class LlamaFigures
{
    private const int DecodeTokens = 128;
    private const int PrefillTokens = 512;
    private const string Text = "Once upon a time there was a little girl who lived in a house by the sea. ";

    public static IEnumerable<Figure> Measure(CpuDevice device, string modelPath, string? llamaFolder)
    {
        using var model = new BundledModel(device, modelPath);
        int[] prompt = model.Tokenizer.Encode(string.Concat(Enumerable.Repeat(Text, 80)), parseSpecial: false)[..PrefillTokens];
        double OurDecode() => model.Decode(prompt.AsSpan(0, 8), DecodeTokens);
        double OurPrefill() => model.Prefill(prompt);
        string ours = $"{device.Threads} thread{(device.Threads == 1 ? "" : "s")}";
        if (llamaFolder is null)
        {
            yield return new Figure($"bundled model, decode, {ours}", DecodeTokens / Pairs.Run(9, OurDecode, static () => 1).First, "tok/s");
            yield return new Figure($"bundled model, prefill of 512, {ours}", PrefillTokens / Pairs.Run(9, OurPrefill, static () => 1).First, "tok/s");
            yield break;
        }

        string script = Path.Combine(Program.Root(), "benchmarks", "llama.cpp", "server.mjs");
        foreach (int threads in new[] { 1, 2 })
        {
            using var llama = new LlamaCpp(llamaFolder, script, modelPath, threads);
            string name = $"llama.cpp ({llama.Release}), {threads} thread{(threads == 1 ? "" : "s")}";
            Pairs decode = Pairs.Run(11, OurDecode, () => llama.Decode(DecodeTokens));
            yield return new Figure($"bundled model, decode, {ours}", DecodeTokens / decode.First, "tok/s", DecodeTokens / decode.Second, name, decode.SecondOverFirst, 1);
            Pairs prefill = Pairs.Run(11, OurPrefill, () => llama.Prefill(PrefillTokens));
            yield return new Figure($"bundled model, prefill of 512, {ours}", PrefillTokens / prefill.First, "tok/s", PrefillTokens / prefill.Second, name, prefill.SecondOverFirst, 1);
        }
    }
}
