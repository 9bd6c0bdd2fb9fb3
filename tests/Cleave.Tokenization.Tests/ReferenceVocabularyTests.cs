using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Cleave.Tokenization.HuggingFace;

namespace Cleave.Tokenization.Tests;

/// <summary>llama.cpp's vocabulary files with its test texts and ids, and the bundled tokenizer as Hugging Face stores it.</summary>
public sealed class ReferenceVocabularyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("cleave-tokenizers-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("ggml-vocab-gpt-2")]
    [InlineData("ggml-vocab-llama-spm")]
    public void EveryReferenceCaseEncodesAndDecodes(string name)
    {
        Tokenizer tokenizer = Repository.OfGguf(Unpack(name + ".gguf"));
        foreach ((string text, int[] ids) in Cases(name))
        {
            Assert.Equal(ids, tokenizer.Encode(text, parseSpecial: false));
            Assert.Equal(text, tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void TokenizerJsonGivesTheSameIdsAsGguf()
    {
        File.Move(Unpack("demo.tokenizer.json"), Path.Combine(_folder.FullName, "tokenizer.json"));
        Tokenizer tokenizer = Tokenizer.Create(TokenizerFiles.Read(_folder.FullName));
        Assert.Equal(12288, tokenizer.VocabularySize);
        foreach (JsonElement item in Repository.DemoCases().RootElement.EnumerateArray())
        {
            int[] ids = [.. item.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(ids, tokenizer.Encode(item.GetProperty("text").GetString()!, parseSpecial: true));
            Assert.Equal(item.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void TokenizerModelGivesTheSameIdsAsGguf()
    {
        TokenizerDefinition gguf = Repository.DefinitionOf(Unpack("ggml-vocab-llama-spm.gguf"));
        File.WriteAllBytes(Path.Combine(_folder.FullName, "tokenizer.model"), SentencePieceBytes(gguf));
        Tokenizer tokenizer = Tokenizer.Create(TokenizerFiles.Read(_folder.FullName));
        Assert.Equal((1, true), (tokenizer.BosId, tokenizer.AddBos));
        Assert.True(tokenizer.IsEndOfTurn(2));
        foreach ((string text, int[] ids) in Cases("ggml-vocab-llama-spm"))
        {
            Assert.Equal(ids, tokenizer.Encode(text, parseSpecial: false));
        }
    }

    [Fact]
    public void MergesGiveTheSameIdsAsScores()
    {
        // As Hugging Face's converter derives merges: all ways to make a token of two others, the best token first.
        TokenizerDefinition gguf = Repository.DefinitionOf(Unpack("ggml-vocab-llama-spm.gguf"));
        var ids = gguf.Tokens.Select((token, id) => (token, id)).Where(pair => gguf.TokenTypes![pair.id] == 1).ToDictionary(pair => pair.token, pair => pair.id);
        var merges = new List<(float Score, string Merge)>();
        foreach ((string token, int id) in ids)
        {
            for (int cut = 1; cut < token.Length; cut++)
            {
                if (ids.ContainsKey(token[..cut]) && ids.ContainsKey(token[cut..]))
                {
                    merges.Add((gguf.Scores![id], $"{token[..cut]} {token[cut..]}"));
                }
            }
        }

        var json = new
        {
            added_tokens = new[] { new { id = 1, content = "<s>", special = true }, new { id = 2, content = "</s>", special = true } },
            normalizer = new
            {
                type = "Sequence",
                normalizers = new object[]
                {
                    new { type = "Prepend", prepend = "\u2581" },
                    new { type = "Replace", pattern = new { String = " " }, content = "\u2581" },
                },
            },
            post_processor = new { type = "TemplateProcessing", single = new object[] { new { SpecialToken = new { id = "<s>" } }, new { Sequence = new { id = "A" } } } },
            model = new
            {
                type = "BPE",
                unk_token = "<unk>",
                byte_fallback = true,
                vocab = gguf.Tokens.Select((token, id) => (token, id)).ToDictionary(pair => pair.token, pair => pair.id),
                merges = merges.OrderByDescending(merge => merge.Score).Select(merge => merge.Merge.Split(' ')),
            },
        };
        File.WriteAllText(Path.Combine(_folder.FullName, "tokenizer.json"), JsonSerializer.Serialize(json));
        File.WriteAllText(Path.Combine(_folder.FullName, "tokenizer_config.json"), """{"eos_token": {"content": "</s>"}, "chat_template": "{{ bos_token }}x"}""");
        Tokenizer tokenizer = Tokenizer.Create(TokenizerFiles.Read(_folder.FullName));
        Assert.Equal((1, true, "{{ bos_token }}x"), (tokenizer.BosId, tokenizer.AddBos, tokenizer.Definition.ChatTemplate));
        Assert.True(tokenizer.IsEndOfTurn(2));
        foreach ((string text, int[] expected) in Cases("ggml-vocab-llama-spm"))
        {
            Assert.Equal(expected, tokenizer.Encode(text, parseSpecial: false));
        }
    }

    [Fact]
    public void SentencePieceTakesNoQuadraticTimeAndBringsAnyTextBack()
    {
        Tokenizer tokenizer = Repository.OfGguf(Unpack("ggml-vocab-llama-spm.gguf"));
        DemoTokenizerTests.AnyText.Sample(text => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text, parseSpecial: false))), iter: 300);
        string endless = string.Concat(Enumerable.Range(0, 300_000).Select(i => (char)('a' + (i * i % 23))));
        Assert.Equal(endless, tokenizer.Decode(tokenizer.Encode(endless, parseSpecial: false)));
        int[] data = tokenizer.Encode("</s><s><unk><0x41>", parseSpecial: false);
        Assert.DoesNotContain(data, id => tokenizer.KindOf(id) is TokenKind.Control or TokenKind.Unknown or TokenKind.Byte);
        Assert.Equal(2, tokenizer.Encode("a</s>", parseSpecial: true)[^1]);
    }

    [Theory]
    [InlineData("qwen2", "It's 123 ab\n\n x", "It|'s| |1|2|3| ab|\n\n| x")]
    [InlineData("llama-bpe", "It's 12345", "It|'s| |123|45")]
    [InlineData("gpt-2", "It's  123!!\n", "It|'s| | 123|!!|\n")]
    [InlineData("tekken", "HelloWORLDFoo a/b/\n12", "Hello|WORLDFoo| a|/b|/\n|1|2")]
    [InlineData("starcoder", "a 12b", "a| |1|2|b")]
    [InlineData("smollm", "a 12b", "a| |1|2|b")]
    [InlineData("falcon", "a, 12345!", "a|,| |123|45|!")]
    [InlineData("deepseek-llm", "Hi there, 中文 12\n", "Hi| there|,| |中文| |12|\n")]
    [InlineData("deepseek-coder", "if x12\n", "if| x|1|2|\n")]
    [InlineData("deepseek-v3", "Hi 12345 中文.x", "Hi| |123|45| |中文|.x")]
    public void PreTokenizersSplitAsTheirModelsDo(string name, string text, string pieces)
    {
        var split = new List<Range>();
        PreTokenizers.PreTokenizer.Named(name)!.Split(text, split);
        Assert.Equal(pieces, string.Join('|', split.Select(piece => text[piece])));
    }

    [Theory]
    [InlineData("{}", "'model'")]
    [InlineData("[]", "JSON object")]
    [InlineData("{\"model\":{\"vocab\":{\"\\ud800\":0},\"merges\":[]}}", "JSON")]
    [InlineData("{\"model\":{\"type\":\"Unigram\"}}", "'Unigram'")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "'a'")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000},\"merges\":[]}}", "4000000")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "'b'")]
    [InlineData("{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "'merges'")]
    [InlineData("{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[5]}}", "merge 5")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "'aa'")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Whitespace\"}}", "Whitespace")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"normalizer\":{\"type\":\"Lowercase\"}}", "Lowercase")]
    [InlineData("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"continuing_subword_prefix\":\"##\"}}", "continuing_subword_prefix")]
    [InlineData("{\"added_tokens\":[{\"id\":9999999,\"content\":\"x\"}],\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}", "added token")]
    [InlineData("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}}", "expression")]
    public void HostileTokenizerJsonIsRefused(string json, string named)
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "tokenizer.json"), json);
        var e = Assert.Throws<TokenizerFormatException>(() => Tokenizer.Create(TokenizerFiles.Read(_folder.FullName)));
        Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DamagedSentencePieceModelsAreRefusedOrHarmless()
    {
        TokenizerDefinition small = new() { Model = "llama", Tokens = ["<unk>", "a", "b", "ab"], Scores = [0, -1, -2, -3], TokenTypes = [2, 1, 1, 1] };
        byte[] whole = SentencePieceBytes(small);
        string path = Path.Combine(_folder.FullName, "tokenizer.model");
        Gen.Select(Gen.Int[0, whole.Length], Gen.Int[0, whole.Length - 1], Gen.Byte).Sample(
            (length, at, value) =>
            {
                byte[] bytes = [.. whole];
                bytes[at] = value;
                File.WriteAllBytes(path, bytes[..length]);
                try
                {
                    Tokenizer.Create(TokenizerFiles.Read(_folder.FullName)).Encode("ab", parseSpecial: true);
                }
                catch (TokenizerFormatException)
                {
                }
            },
            iter: 500,
            threads: 1);
    }

    [Fact]
    public void AddedTokensStripTheSpacesTheyAskFor()
    {
        Tokenizer tokenizer = Tokenizer.Create(Repository.Demo.Definition with { AddedTokens = [new AddedToken(3, "<|end|>", Control: true, StripLeft: true, StripRight: true)] });
        Assert.Equal([.. tokenizer.Encode("a", false), 3, .. tokenizer.Encode("b", false)], tokenizer.Encode("a \n<|end|>\n b", parseSpecial: true));
    }

    private static IEnumerable<(string Text, int[] Ids)> Cases(string name)
    {
        string[] texts = File.ReadAllText(Repository.Fixture("tokenizers", name + ".gguf.inp")).Split("\n__ggml_vocab_test__\n");
        string[] lines = File.ReadAllText(Repository.Fixture("tokenizers", name + ".gguf.out")).Split('\n');
        int count = Math.Min(texts.Length, lines.Length);
        Assert.InRange(count, 40, 60);
        return Enumerable.Range(0, count)
            .Select(i => (texts[i], lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(id => int.Parse(id, System.Globalization.CultureInfo.InvariantCulture)).ToArray()))
            .Where(pair => pair.Item2.Length > 0 || pair.Item1.Length == 0);
    }

    private string Unpack(string name)
    {
        string path = Path.Combine(_folder.FullName, name);
        using FileStream packed = File.OpenRead(Repository.Fixture("tokenizers", name + ".br"));
        using BrotliStream unpacked = new(packed, CompressionMode.Decompress);
        using FileStream file = File.Create(path);
        unpacked.CopyTo(file);
        return path;
    }

    // sentencepiece_model.proto, by hand: pieces, then the trainer's model type, then the normalizer's dummy prefix.
    private static byte[] SentencePieceBytes(TokenizerDefinition definition)
    {
        var bytes = new List<byte>();
        for (int id = 0; id < definition.Tokens.Count; id++)
        {
            byte[] text = Encoding.UTF8.GetBytes(definition.Tokens[id]);
            Message(1, [0x0A, .. Varint(text.Length), .. text, 0x15, .. BitConverter.GetBytes(definition.Scores![id]), 0x18, (byte)definition.TokenTypes![id]]);
        }

        Message(2, [0x18, 2]);
        Message(3, [0x18, 1]);
        return [.. bytes];

        void Message(int field, byte[] content) => bytes.AddRange([(byte)((field << 3) | 2), .. Varint(content.Length), .. content]);

        static byte[] Varint(int value) => value < 128 ? [(byte)value] : [(byte)(0x80 | (value & 0x7F)), .. Varint(value >> 7)];
    }
}
