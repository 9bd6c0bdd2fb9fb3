using Cleave.Fuzzing;
using Cleave.Tokenization.HuggingFace;

namespace Cleave.Tokenization.Tests.Fuzzing;

/// <summary>Tokenizer files that somebody damaged, by chance or with intent.</summary>
public sealed class TokenizerFuzzTests
{
    private const string Text = "a ab  abba <|end|> A\n12é\0";

    [Fact]
    public void TokenizerJson() => Assert.InRange(
        Fuzz.Run<TokenizerFormatException>("tokenizer", static bytes => Use(Cleave.Tokenization.HuggingFace.TokenizerJson.Read("fuzz.json", TokenizerFiles.ParseJson("fuzz.json", bytes)))), 1, Fuzz.Iterations);

    [Fact]
    public void SentencePieceModels() => Assert.InRange(
        Fuzz.Run<TokenizerFormatException>("sentencepiece", static bytes => Use(SentencePieceModel.Read("fuzz.model", bytes))), 1, Fuzz.Iterations);

    // What is accepted has to work on text, whatever the ids are.
    private static void Use(TokenizerDefinition definition)
    {
        Tokenizer tokenizer = Tokenizer.Create(definition);
        int[] ids = tokenizer.Encode(Text, parseSpecial: true);
        Assert.All(ids, id => Assert.InRange(id, 0, definition.Tokens.Count - 1));
        _ = tokenizer.Decode(ids);
    }
}
