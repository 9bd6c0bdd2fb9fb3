namespace Cleave.Tokenization.Tests;

/// <summary>Tokenizer data that lies.</summary>
public sealed class HostileTokenizerTests
{
    private static readonly TokenizerDefinition Tiny = new()
    {
        Source = "tiny.gguf",
        Model = "gpt2",
        PreTokenizer = "llama-bpe",
        Tokens = ["a", "b", "ab", "<x>"],
        TokenTypes = [1, 1, 1, 3],
        Merges = ["a b"],
    };

    [Fact]
    public void TheTinyOneWorks() => Assert.Equal([2, 0, 3], Tokenizer.Create(Tiny).Encode("aba<x>", parseSpecial: true));

    [Theory]
    [InlineData("a c", "'c'")]
    [InlineData("b a", "'ba'")]
    [InlineData("ab", "'ab'")]
    [InlineData("a  b", "'a  b'")]
    [InlineData(" ", "' '")]
    public void MergesMustFitTheVocabulary(string merge, string named)
    {
        var e = Assert.Throws<TokenizerFormatException>(() => Tokenizer.Create(Tiny with { Merges = [merge] }));
        Assert.Contains("tiny.gguf", e.Message, StringComparison.Ordinal);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MergesCannotMakeControlTokens() => Assert.Throws<TokenizerFormatException>(() => Tokenizer.Create(Tiny with
    {
        TokenTypes = [1, 1, 3, 3],
    }));

    [Fact]
    public void ArraysAndIdsAreChecked()
    {
        Refuses(Tiny with { Tokens = [] }, "empty");
        Refuses(Tiny with { TokenTypes = [1] }, "1 token types for 4");
        Refuses(Tiny with { TokenTypes = [1, 1, 1, 9] }, "type 9");
        Refuses(Tiny with { BosId = 4 }, "BOS id 4");
        Refuses(Tiny with { EosId = -2 }, "EOS id -2");
        Refuses(Tiny with { Merges = null }, "merges");
        Refuses(Tiny with { Model = "rwkv" }, "'rwkv'");
        Refuses(Tiny with { PreTokenizer = "strange" }, "'strange'");
    }

    [Fact]
    public void MergesThatReferToEachOtherEnd()
    {
        // "aa" + "a" and "a" + "aa" make the same token: whatever the order, every merge shortens the text.
        Tokenizer tokenizer = Tokenizer.Create(Tiny with
        {
            Tokens = ["a", "aa", "aaa", "aaaa"],
            TokenTypes = null,
            Merges = ["aa a", "a aa", "aaa a", "a aaa", "a a", "aa aa"],
        });
        foreach (int length in (ReadOnlySpan<int>)[10, 1000])
        {
            string text = new('a', length);
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, parseSpecial: false)));
        }
    }

    private static void Refuses(TokenizerDefinition definition, string named) => Assert.Contains(
        named, Assert.Throws<TokenizerFormatException>(() => Tokenizer.Create(definition)).Message, StringComparison.Ordinal);
}
