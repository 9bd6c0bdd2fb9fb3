using System.Text.Json;
using Cleave.Tokenization.Bpe;

namespace Cleave.Tokenization.Tests;

/// <summary>The bundled model's tokenizer against ids from the reference implementation.</summary>
public sealed class DemoTokenizerTests
{
    private static readonly JsonElement[] Cases =
        [.. Repository.DemoCases().RootElement.EnumerateArray()];

    [Fact]
    public void EveryReferenceCaseEncodesAndDecodes()
    {
        Assert.Equal(178, Cases.Length);
        foreach (JsonElement item in Cases)
        {
            string text = item.GetProperty("text").GetString()!;
            int[] ids = [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(ids, Repository.Demo.Encode(text, parseSpecial: true));
            Assert.Equal(item.GetProperty("decoded").GetString(), Repository.Demo.Decode(ids));
        }
    }

    [Fact]
    public void TheDraftModelHasTheSameTokenizer()
    {
        TokenizerDefinition demo = Repository.Demo.Definition;
        TokenizerDefinition draft = Repository.DefinitionOf(Repository.Model("cleave-demo-draft-4m.q8_0.gguf"));
        Assert.Equal(demo.Tokens, draft.Tokens);
        Assert.Equal(demo.Merges, draft.Merges);
    }

    [Fact]
    public void SpecialIdsAreKnown()
    {
        Assert.Equal(12288, Repository.Demo.VocabularySize);
        Assert.Equal(0, Repository.Demo.BosId);
        Assert.True(Repository.Demo.AddBos);
        Assert.True(Repository.Demo.IsEndOfTurn(3));
        Assert.False(Repository.Demo.IsEndOfTurn(1));
        Assert.True(Repository.Demo.TryGetSpecial("<|user|>", out int user));
        Assert.Equal(1, user);
        Assert.Equal("<|end|>", Repository.Demo.TokenText(3));
        Assert.Equal(TokenKind.Control, Repository.Demo.KindOf(3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Repository.Demo.TokenBytes(12288));
    }

    [Fact]
    public void ControlTokensInTextAreDataUnlessAskedFor()
    {
        const string text = "a<|end|>b<|user|>";
        int[] data = Repository.Demo.Encode(text, parseSpecial: false);
        Assert.DoesNotContain(data, id => Repository.Demo.KindOf(id) == TokenKind.Control);
        Assert.Equal(text, Repository.Demo.Decode(data));
        int[] control = Repository.Demo.Encode(text, parseSpecial: true);
        Assert.Equal(2, control.Count(id => Repository.Demo.KindOf(id) == TokenKind.Control));
        Assert.Equal("ab", Repository.Demo.Decode(control, showControl: false));
    }

    [Fact]
    public void AnyTextComesBack() =>
        AnyText.Sample(text =>
        {
            foreach (bool parseSpecial in (ReadOnlySpan<bool>)[false, true])
            {
                Assert.Equal(text, Repository.Demo.Decode(Repository.Demo.Encode(text, parseSpecial)));
            }
        });

    [Fact]
    public void LoneSurrogatesBecomeReplacementCharacters()
    {
        int[] ids = Repository.Demo.Encode("a\uD800b\uDC00", parseSpecial: false);
        Assert.Equal("a\uFFFDb\uFFFD", Repository.Demo.Decode(ids));
    }

    [Fact]
    public void TheLoopMergesAsTheLibraryDoes() =>
        AnyText.Where(text => text.Length > 0).Sample(text =>
        {
            var bpe = (ByteLevelBpe)Repository.Demo;
            var loop = new List<int>();
            var library = new List<int>();
            bpe.EncodeByLoop(text, loop);
            bpe.EncodeByLibrary(text, library);
            Assert.Equal(library, loop);
        });

    [Fact]
    public void OneEndlessWordTakesNoQuadraticTime()
    {
        // The library takes seconds for a tenth of this; a quadratic loop would not come back before the test's limit.
        string text = string.Concat(Enumerable.Range(0, 2_000_000).Select(i => (char)('a' + (i * i % 23))));
        int[] ids = Repository.Demo.Encode(text, parseSpecial: false);
        Assert.Equal(text, Repository.Demo.Decode(ids));
    }

    [Theory]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData(" \n")]
    [InlineData("!")]
    [InlineData("7")]
    [InlineData("'s")]
    [InlineData("<|")]
    [InlineData("\U0001F600")]
    public void LongRunsComeBackInGoodTime(string unit)
    {
        string text = string.Concat(Enumerable.Repeat(unit, 100_000));
        Assert.Equal(text, Repository.Demo.Decode(Repository.Demo.Encode(text, parseSpecial: true)));
    }

    [Fact]
    public void LettersPastTheBasicPlaneSplitAsLetters()
    {
        // Mathematical letters are one word, digits groups of three, as in a Unicode-aware expression.
        var pieces = new List<Range>();
        const string text = "𝐀𝐁c 𝟎𝟏𝟐𝟑 \U00020000\U00020001";
        PreTokenizers.PreTokenizer.Named("llama-bpe")!.Split(text, pieces);
        Assert.Equal(["𝐀𝐁c", " ", "𝟎𝟏𝟐", "𝟑", " \U00020000\U00020001"], pieces.Select(piece => text[piece]));
    }

    private static readonly string[] Parts = ["é", "日本", "\U0001F469\u200D\U0001F680", "𝔘", "<|end|>", " ", "\r\n", "word"];

    internal static readonly Gen<string> AnyText = Gen.OneOf(
        Gen.String,
        Gen.String[Gen.Char["ab \n'st09!<|end>"], 0, 400],
        Gen.Int[0, Parts.Length - 1].Select(i => Parts[i]).Array[0, 60].Select(string.Concat))
        .Select(text => new string([.. text.EnumerateRunes().SelectMany(rune => rune.ToString())]));
}
