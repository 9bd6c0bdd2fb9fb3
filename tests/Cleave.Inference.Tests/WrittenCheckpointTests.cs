using Cleave.CheckpointWriter;
using Cleave.Compute;
using Cleave.Inference.Decoding;
using Cleave.Models;

namespace Cleave.Inference.Tests;

/// <summary>A checkpoint written in a larger shape computes the bundled model's function, and is cut like any other.</summary>
public sealed class WrittenCheckpointTests
{
    private const int Tokens = 16;

    [Fact]
    public async Task A_larger_shape_gives_the_bundled_models_tokens_unsplit_and_split()
    {
        string path = Path.Combine(Path.GetTempPath(), $"cleave-written-{Guid.NewGuid():N}.gguf");
        try
        {
            using (IModelSource bundled = ModelSource.Open(DemoModel.Path))
            {
                new Checkpoint(DemoModel.Path, bundled, TargetShape.Named("tiny")!).Write(path, static _ => { });
            }

            DemoModel.GreedyCase reference = DemoModel.GreedyCases[0];
            int[] expected = reference.GreedyIds[..Math.Min(Tokens, reference.GreedyIds.Length)];
            int[] whole = await Generate(path, null, reference.PromptIds, expected.Length);
            int[] split = await Generate(path, new Cut(3, 3), reference.PromptIds, expected.Length);

            // Its own unsplit run is the reference of identity; BF16 rounding may move the bundled model's tokens, and moves none of these.
            Assert.Equal(whole, split);
            Assert.Equal(expected, whole);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task<int[]> Generate(string path, Cut? cut, int[] prompt, int count)
    {
        IModelSource source = ModelSource.Open(path);
        using var model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), cut, 256);
        await using TextGenerator generator = new(DemoModel.LocalSession(model, 256), DecoderCatalog.Create("sequential", new DrafterContext()));
        var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = count, StopAtEndOfTurn = false } };
        var ids = new List<int>();
        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
            ids.Add(token.Token);
        }

        return [.. ids];
    }
}
