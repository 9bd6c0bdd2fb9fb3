using Cleave.Compute;
using Cleave.Inference;
using Cleave.Models;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Learning;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Tests;

/// <summary>The bundled model under the default cut, a few sessions watched, and what attackers need. Made once.</summary>
internal static class LabScene
{
    public static readonly CaptureOptions Options = new() { PromptTokens = 48, OutputTokens = 16 };

    private static readonly Lazy<Task<IReadOnlyList<Transcript>>> LazyTranscripts = new(() => CaptureAsync(Cut.Default, Options, 8));

    private static readonly Lazy<LabelledPairs> LazyPairs = new(() =>
    {
        using TrustedModel model = Load(Cut.Default);
        return new PairCollector(model, WireType.F32).Collect(AttackerSequences(model), 4000, 48);
    });

    public static string ModelPath { get; } = Path.Combine(Root(), "models", "cleave-demo-24m.q8_0.gguf");

    public static Tokenization.Tokenizer Tokenizer { get; } = TokenizerLoader.Load(ModelSource.Open(ModelPath));

    public static Task<IReadOnlyList<Transcript>> Transcripts => LazyTranscripts.Value;

    public static LabelledPairs Pairs => LazyPairs.Value;

    public static TrustedModel Load(Cut? cut, Func<IModelSource, IModelSource>? change = null)
    {
        IModelSource source = ModelSource.Open(ModelPath);
        return TrustedModel.Load(change?.Invoke(source) ?? source, TokenizerLoader.Load(source), new CpuDevice(), cut, 4096);
    }

    public static async Task<IReadOnlyList<Transcript>> CaptureAsync(Cut cut, CaptureOptions options, int documents)
    {
        using TrustedModel model = Load(cut);
        return await new Capturer(model, options).RunAsync(CorpusSet.Balanced(CorpusSet.Evaluation, documents));
    }

    public static IEnumerable<int[]> AttackerSequences(TrustedModel model) => CorpusSet.Attacker.Select(d => Capturer.Tokenize(model, d, 2048));

    public static (CpuDevice Device, MatrixProduct Product, IModelSource Source, EmbeddingTable Embeddings) Attacker()
    {
        var device = new CpuDevice();
        var product = new MatrixProduct(device);
        IModelSource source = ModelSource.Open(ModelPath);
        return (device, product, source, new EmbeddingTable(product, source));
    }

    private static string Root()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException("Cleave.slnx not found above the test assembly");
    }
}
