using System.Text.Json;

namespace Cleave.Tokenization.HuggingFace;

/// <summary>
/// Hugging Face's tokenizer.json, of BPE models: byte-level ones, and SentencePiece ones converted to merges. What changes the
/// ids in a way that is not understood is refused by name.
/// </summary>
internal static class TokenizerJson
{
    private const int MaxTokens = 4 << 20;

    public static TokenizerDefinition Read(string path, JsonElement root)
    {
        var file = new Reader(path);
        JsonElement model = file.Object(root, "model");
        string type = model.TryGetProperty("type", out JsonElement kind) ? kind.ToString() : "BPE";
        if (type != "BPE")
        {
            throw file.Fail($"model '{type}' is not supported; supported: BPE");
        }

        foreach (string affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.TryGetProperty(affix, out JsonElement value) && value is { ValueKind: JsonValueKind.String } text && text.GetString()!.Length > 0)
            {
                throw file.Fail($"'{affix}' is not supported");
            }
        }

        List<AddedToken> added = file.AddedTokens(root);
        string[] tokens = file.Tokens(model, added);
        bool byteFallback = Flag(model, "byte_fallback");
        string? unknown = model.TryGetProperty("unk_token", out JsonElement unk) && unk.ValueKind == JsonValueKind.String ? unk.GetString() : null;
        var types = new int[tokens.Length];
        for (int id = 0; id < types.Length; id++)
        {
            types[id] = (int)(tokens[id].Length == 0 ? TokenKind.Unused
                : byteFallback && tokens[id].Length == 6 && tokens[id].StartsWith("<0x", StringComparison.Ordinal) && tokens[id][5] == '>' ? TokenKind.Byte
                : tokens[id] == unknown ? TokenKind.Unknown
                : TokenKind.Normal);
        }

        foreach (AddedToken token in added)
        {
            types[token.Id] = (int)(token.Control ? TokenKind.Control : TokenKind.UserDefined);
        }

        var splits = new TokenizerSteps(path);
        splits.ReadNormalizer(root);
        splits.ReadPreTokenizer(root);
        int bos = unknown is null ? -1 : Array.IndexOf(tokens, unknown);
        return new TokenizerDefinition
        {
            Source = path,
            Model = splits.ByteLevel ? "gpt2" : "llama-merges",
            Tokens = tokens,
            TokenTypes = types,
            Merges = file.Merges(model),
            SplitPatterns = splits.ByteLevel ? splits.Patterns : null,
            IgnoreMerges = Flag(model, "ignore_merges"),
            NormalizeToFormC = splits.FormC,
            AddSpacePrefix = splits.SpacePrefix,
            AddedTokens = added,
            UnknownId = bos >= 0 ? bos : null,
            BosId = BosOfPostProcessor(root, tokens),
            AddBos = BosOfPostProcessor(root, tokens) is null ? null : true,
        };
    }

    private static bool Flag(JsonElement of, string name) => of.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    // A template that starts with a special token puts the BOS before the text.
    private static int? BosOfPostProcessor(JsonElement root, string[] tokens)
    {
        if (!root.TryGetProperty("post_processor", out JsonElement processor) || processor.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        IEnumerable<JsonElement> steps = processor.TryGetProperty("processors", out JsonElement several) && several.ValueKind == JsonValueKind.Array
            ? several.EnumerateArray()
            : [processor];
        foreach (JsonElement step in steps)
        {
            if (step.ValueKind == JsonValueKind.Object && step.TryGetProperty("single", out JsonElement single)
                && single.ValueKind == JsonValueKind.Array && single.GetArrayLength() > 1
                && single[0].ValueKind == JsonValueKind.Object && single[0].TryGetProperty("SpecialToken", out JsonElement special)
                && special.ValueKind == JsonValueKind.Object && special.TryGetProperty("id", out JsonElement text))
            {
                int id = Array.IndexOf(tokens, text.ToString());
                return id >= 0 ? id : null;
            }
        }

        return null;
    }

    /// <summary>Reads parts and says where they are wrong.</summary>
    private sealed class Reader(string path)
    {
        public TokenizerFormatException Fail(string what) => new($"{path}: {what}");

        public JsonElement Object(JsonElement of, string name) =>
            of.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Object ? value : throw Fail($"lacks the object '{name}'");

        public List<AddedToken> AddedTokens(JsonElement root)
        {
            var added = new List<AddedToken>();
            if (!root.TryGetProperty("added_tokens", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            {
                return added;
            }

            foreach (JsonElement token in list.EnumerateArray())
            {
                if (token.ValueKind != JsonValueKind.Object || !token.TryGetProperty("content", out JsonElement content) || content.ValueKind != JsonValueKind.String
                    || !token.TryGetProperty("id", out JsonElement id) || id.ValueKind != JsonValueKind.Number || !id.TryGetInt32(out int number) || number is < 0 or >= MaxTokens)
                {
                    throw Fail($"added token {token.GetRawText()[..Math.Min(100, token.GetRawText().Length)]} has no text or no id from 0 to {MaxTokens}");
                }

                added.Add(new AddedToken(number, content.GetString()!, Flag(token, "special"), Flag(token, "lstrip"), Flag(token, "rstrip")));
            }

            return added;
        }

        public string[] Tokens(JsonElement model, List<AddedToken> added)
        {
            JsonElement vocabulary = Object(model, "vocab");
            var byId = new Dictionary<int, string>();
            foreach (JsonProperty pair in vocabulary.EnumerateObject())
            {
                if (pair.Value.ValueKind != JsonValueKind.Number || !pair.Value.TryGetInt32(out int id) || id is < 0 or >= MaxTokens || !byId.TryAdd(id, pair.Name))
                {
                    throw Fail($"token '{pair.Name}' has the id {pair.Value.GetRawText()}; one of its own from 0 to {MaxTokens} is expected");
                }
            }

            foreach (AddedToken token in added)
            {
                byId[token.Id] = token.Text;
            }

            if (byId.Count == 0 || byId.Keys.Max() > (2L * byId.Count) + 1024)
            {
                throw Fail($"{byId.Count} tokens have ids up to {(byId.Count == 0 ? 0 : byId.Keys.Max())}");
            }

            // Ids in gaps belong to no text.
            string[] tokens = new string[byId.Keys.Max() + 1];
            Array.Fill(tokens, "");
            foreach ((int id, string text) in byId)
            {
                tokens[id] = text;
            }

            return tokens;
        }

        // "left right", or since tokenizers 0.20 ["left", "right"].
        public string[] Merges(JsonElement model)
        {
            if (!model.TryGetProperty("merges", out JsonElement merges) || merges.ValueKind != JsonValueKind.Array)
            {
                throw Fail("the model lacks the array 'merges'");
            }

            return [.. merges.EnumerateArray().Select(merge => merge.ValueKind switch
            {
                JsonValueKind.String => merge.GetString()!,
                JsonValueKind.Array when merge.GetArrayLength() == 2 => $"{merge[0]} {merge[1]}",
                _ => throw Fail($"merge {merge.GetRawText()[..Math.Min(100, merge.GetRawText().Length)]} is no pair"),
            })];
        }
    }
}
