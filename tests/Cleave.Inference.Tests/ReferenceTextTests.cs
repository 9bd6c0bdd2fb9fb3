using Cleave.Inference.Decoding;

namespace Cleave.Inference.Tests;

/// <summary>The bundled model's greedy text against the reference implementation's, unsplit and with every decoder.</summary>
public sealed class ReferenceTextTests
{
    [Theory]
    [InlineData("sequential")]
    [InlineData("ngram")]
    [InlineData("suffix")]
    public async Task Greedy_ids_equal_the_reference(string decoder)
    {
        using TrustedModel model = DemoModel.Load();
        foreach (DemoModel.GreedyCase reference in DemoModel.GreedyCases)
        {
            await using TextGenerator generator = new(DemoModel.LocalSession(model), DecoderCatalog.Create(decoder, new DrafterContext()));
            var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = reference.GreedyIds.Length, StopAtEndOfTurn = false } };
            var ids = new List<int>();
            await foreach (DecodedToken token in generator.GenerateAsync(reference.PromptIds, options, TestContext.Current.CancellationToken))
            {
                ids.Add(token.Token);
            }

            // Near ties may fall either way between implementations; none of these sequences has one under 1e-3.
            Assert.True(reference.MinTop2Gap > 1e-3);
            Assert.Equal(reference.GreedyIds, ids);
            Assert.Equal(reference.Text, model.Tokenizer.Decode(ids));
        }
    }
}
