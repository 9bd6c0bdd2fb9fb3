using System.Text;
using System.Text.Json;
using Cleave.Gateway.Grammar;
using Cleave.Inference.Sampling;

namespace Cleave.Gateway.Tests.Grammar;

/// <summary>Whatever the masked model says satisfies the schema; what the schema allows can be said; what cannot be enforced is refused.</summary>
public sealed class SchemaGrammarTests
{
    private static readonly TokenTrie Trie = new(DemoModel.Tokenizer);

    public static TheoryData<string> Schemas =>
    [
        """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}""",
        """{"type":"object","properties":{"a":{"type":"number"},"b":{"type":["string","null"]},"c":{"type":"boolean"}},"required":["b"]}""",
        """{"type":"array","items":{"enum":["red","green","grey","gr\"een\\",null,12,{"x":[1]}]},"minItems":2,"maxItems":5}""",
        """{"type":"object","properties":{"steps":{"type":"array","items":{"type":"object","properties":{"what":{"type":"string","maxLength":12},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["what","next"]},"maxItems":2}},"required":["steps"]}""",
        """{"anyOf":[{"type":"object","properties":{"kind":{"const":"cat"},"lives":{"type":"integer","minimum":1,"maximum":9}},"required":["kind","lives"]},{"type":"object","properties":{"kind":{"const":"car"},"wheels":{"type":"integer","exclusiveMinimum":2,"maximum":1205}},"required":["kind","wheels"]}]}""",
        """{"type":"integer","minimum":-137,"maximum":42}""",
        """{"type":"integer","minimum":95,"maximum":10007}""",
        """{"type":"integer","exclusiveMinimum":-5,"exclusiveMaximum":-3}""",
        """{"type":"string","minLength":3,"maxLength":6}""",
        """{"type":"string","pattern":"^[A-Z][a-z]{2,5}( [A-Z]\\.)?-(0|[1-9]\\d*)$"}""",
        """{"type":"string","pattern":"^[^a-z]{1,6}$"}""",
        """{"type":"string","format":"date"}""",
        """{"type":"string","format":"date-time"}""",
        """{"type":"string","format":"uuid"}""",
        """{"type":"string","format":"ipv4"}""",
        """{"type":"string","format":"email"}""",
        """{"type":"object","additionalProperties":{"type":"array","items":{"type":"boolean"},"maxItems":3},"minProperties":1,"maxProperties":3}""",
        """{"$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/node"},"maxItems":2}},"required":["value","children"]}},"$ref":"#/$defs/node"}""",
        """{"type":"object","title":"Empty","properties":{},"additionalProperties":false}""",
        """{"type":"object"}""",
        """{}""",
        """{"allOf":[{"type":"string","enum":["é","日本","😀","tab\t"]}]}""",
    ];

    [Theory]
    [MemberData(nameof(Schemas))]
    public void Random_answers_satisfy_the_schema(string text)
    {
        using JsonDocument schema = JsonDocument.Parse(text);
        GrammarMachine machine = SchemaCompiler.Compile(schema.RootElement, Trie);
        for (int seed = 0; seed < 60; seed++)
        {
            string answer = RandomAnswer(machine, new Random(seed));
            using JsonDocument value = Parsed(answer);
            Assert.True(SchemaCheck.Satisfies(value.RootElement, schema.RootElement, schema.RootElement), $"{answer} does not satisfy {text}");
        }
    }

    [Fact]
    public void Any_object_mode_gives_objects()
    {
        GrammarMachine machine = JsonGrammar.AnyObject(Trie);
        for (int seed = 0; seed < 200; seed++)
        {
            using JsonDocument value = Parsed(RandomAnswer(machine, new Random(seed)));
            Assert.Equal(JsonValueKind.Object, value.RootElement.ValueKind);
        }
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["b"]}""", """{"a":1,"b":2}|{"b":-20}|{ "a": 0, "b": 7 }""", """{"b":1,"a":2}|{"a":1}|{}|{"b":01}|{"b":1}x|{"b":1.5}""")]
    [InlineData("""{"type":"number"}""", "0|-1|3.25|1e9|-2.5E-10", "01|+1|.5|1.|1e|1e999|--1|NaN")]
    [InlineData("""{"type":"string"}""", """
        ""|"a\"b"|"\u00e9é日😀"|"\ud83d\ude00"
        """, """
        "|"a|a|"\x"|"\ud83d"|"\ude00"|"a
        b"
        """)]
    [InlineData("""{"type":"array","items":{"type":"boolean"},"minItems":1}""", "[true]|[true, false]|[\n  true,\n  false\n]", "[]|[true,]|[1]|[,true]|[true false]")]
    public void Texts_are_accepted_or_refused(string text, string valid, string invalid)
    {
        using JsonDocument schema = JsonDocument.Parse(text);
        GrammarMachine machine = SchemaCompiler.Compile(schema.RootElement, Trie);
        foreach (string one in valid.Trim().Split('|'))
        {
            Assert.True(machine.Run(machine.Start, Encoding.UTF8.GetBytes(one)).Accepts, $"{one} is refused");
        }

        foreach (string one in invalid.Trim().Split('|'))
        {
            Assert.False(machine.Run(machine.Start, Encoding.UTF8.GetBytes(one)).Accepts, $"{one} is accepted");
        }
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused()
    {
        using JsonDocument schema = JsonDocument.Parse("""{"type":"string"}""");
        GrammarMachine machine = SchemaCompiler.Compile(schema.RootElement, Trie);
        foreach (byte[] bytes in (byte[][])[[0x80], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC3, (byte)'"'], [0x1F], [0xFF]])
        {
            Assert.Same(machine.Dead, machine.Run(machine.Start, [(byte)'"', .. bytes, (byte)'"']));
        }
    }

    [Fact]
    public void The_mask_allows_exactly_the_tokens_whose_bytes_lead_on()
    {
        foreach (string text in Schemas.Take(6).Select(row => row.Data))
        {
            using JsonDocument schema = JsonDocument.Parse(text);
            GrammarMachine machine = SchemaCompiler.Compile(schema.RootElement, Trie);
            var random = new Random(5);
            ITokenMask mask = new GrammarMask(machine, DemoModel.Tokenizer.TokenBytes);
            GrammarState state = machine.Start;
            for (int step = 0; step < 8; step++)
            {
                var logits = new float[DemoModel.Tokenizer.VocabularySize];
                bool[] asked = [.. Enumerable.Range(0, logits.Length).Select(mask.Allows)]; // before anything is known of the state
                mask.Apply(logits);
                for (int token = 0; token < logits.Length; token++)
                {
                    bool expected = DemoModel.Tokenizer.IsEndOfTurn(token) ? state.Accepts
                        : DemoModel.Tokenizer.KindOf(token) != Tokenization.TokenKind.Control && !ReferenceEquals(machine.Run(state, DemoModel.Tokenizer.TokenBytes(token).Span), machine.Dead);
                    Assert.True(expected == (logits[token] == 0), $"{text}, step {step}: token {token} ({DemoModel.Tokenizer.TokenText(token)})");
                    Assert.Equal(expected, asked[token]);
                    Assert.Equal(expected, mask.Allows(token));
                }

                int[] allowed = [.. Enumerable.Range(0, logits.Length).Where(token => logits[token] == 0 && !DemoModel.Tokenizer.IsEndOfTurn(token))];
                if (allowed.Length == 0)
                {
                    break;
                }

                int chosen = allowed[random.Next(allowed.Length)];
                mask = mask.Next(chosen);
                state = machine.Run(state, DemoModel.Tokenizer.TokenBytes(chosen).Span);
            }
        }
    }

    [Theory]
    [InlineData("""{"$ref":"#"}""", "refers to itself")]
    [InlineData("""{"anyOf":[{"type":"null"},{"$ref":"#"}]}""", "refers to itself")]
    [InlineData("""{"$ref":"#/$defs/missing"}""", "no such place")]
    [InlineData("""{"$ref":"https://example.org/schema"}""", "only references into the schema itself")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string"}},"required":["b"]}""", "'b' is not declared")]
    [InlineData("""{"type":"object","patternProperties":{"a":{}}}""", "'patternProperties' is not supported")]
    [InlineData("""{"not":{"type":"string"}}""", "'not' is not supported")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "'uniqueItems' is not supported")]
    [InlineData("""{"type":"number","minimum":0.5}""", "'minimum' is not supported")]
    [InlineData("""{"type":"string","pattern":"(a)\\1"}""", "\\1")]
    [InlineData("""{"type":"string","pattern":"a(?=b)"}""", "(?")]
    [InlineData("""{"type":"string","pattern":"(a"}""", "unclosed group")]
    [InlineData("""{"type":"string","pattern":"a{2,1}"}""", "repetitions")]
    [InlineData("""{"type":"string","format":"binary"}""", "'binary' is not supported")]
    [InlineData("""{"type":"string","minLength":5,"maxLength":2}""", "is above")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":2}""", "no integer lies between")]
    [InlineData("""{"type":"strings"}""", "is no JSON type")]
    [InlineData("""{"enum":[]}""", "1 to 5000")]
    [InlineData("""false""", "allows no value")]
    [InlineData("""[]""", "a schema is an object")]
    [InlineData("""{"type":"string","pattern":"((((a{1000}){1000}){1000}){1000})"}""", "grammar nodes")]
    public void What_cannot_be_enforced_is_refused_by_name(string text, string expected)
    {
        using JsonDocument schema = JsonDocument.Parse(text);
        var exception = Assert.Throws<GrammarException>(() => SchemaCompiler.Compile(schema.RootElement, Trie));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hostile_schemas_are_bounded()
    {
        // 12 arrays in each other, 4000 readings of every text, a pattern with quadratically many positions.
        string nested = string.Concat(Enumerable.Repeat("""{"type":"array","items":""", 40)) + """{"type":"null"}""" + new string('}', 40);
        string ambiguous = $$"""{"anyOf":[{{string.Join(',', Enumerable.Repeat("""{"type":"object","additionalProperties":{"type":"array"}}""", 4000))}}]}""";
        string quadratic = """{"type":"string","pattern":"(a?){1000}(a?){1000}b"}""";
        string longEnum = $$"""{"enum":[{{string.Join(',', Enumerable.Range(0, 5000).Select(i => $"\"value number {i}\""))}}]}""";
        foreach (string text in (string[])[nested, ambiguous, quadratic, longEnum])
        {
            using JsonDocument schema = JsonDocument.Parse(text);
            try
            {
                GrammarMachine machine = SchemaCompiler.Compile(schema.RootElement, Trie);
                GrammarState state = machine.Start;
                for (int step = 0; step < 20; step++)
                {
                    ulong[] allowed = machine.Allowed(state);
                    int token = Enumerable.Range(0, machine.VocabularySize).First(id => (allowed[id >> 6] >> (id & 63) & 1) != 0);
                    if (machine.EndIds.Contains(token))
                    {
                        break;
                    }

                    state = machine.Run(state, DemoModel.Tokenizer.TokenBytes(token).Span);
                }
            }
            catch (GrammarException exception)
            {
                Assert.Matches("too many readings|grammar nodes", exception.Message);
            }
        }
    }

    [Fact]
    public void A_state_met_before_costs_no_walk()
    {
        GrammarMachine machine = JsonGrammar.AnyObject(Trie);
        GrammarState once = machine.Run(machine.Start, "{\"key\": [1, {\"inner\": \"te"u8);
        GrammarState again = machine.Run(machine.Start, "{\"other\": [25, {\"x\": \"a longer te"u8);
        Assert.Same(once, again);
        Assert.Same(machine.Allowed(once), machine.Allowed(again));
    }

    /// <summary>Walks the grammar with random allowed tokens, leaning towards the short ones and towards the end so that it ends.</summary>
    private static string RandomAnswer(GrammarMachine machine, Random random)
    {
        var text = new List<byte>();
        ITokenMask mask = new GrammarMask(machine, DemoModel.Tokenizer.TokenBytes);
        var logits = new float[DemoModel.Tokenizer.VocabularySize];
        for (int step = 0; step < 400; step++)
        {
            Array.Clear(logits);
            mask.Apply(logits);
            int[] allowed = [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
            Assert.NotEmpty(allowed);
            int[] ends = [.. allowed.Where(DemoModel.Tokenizer.IsEndOfTurn)];
            int[] closing = [.. allowed.Where(id => DemoModel.Tokenizer.TokenBytes(id).Span is [(byte)'"' or (byte)'}' or (byte)']', ..])];
            int token = ends.Length > 0 && random.Next(2) == 0 ? ends[0]
                : closing.Length > 0 && random.Next(step < 30 ? 6 : 2) == 0 ? closing[random.Next(closing.Length)]
                : allowed[random.Next(allowed.Length)];
            if (DemoModel.Tokenizer.IsEndOfTurn(token))
            {
                return Encoding.UTF8.GetString([.. text]);
            }

            text.AddRange(DemoModel.Tokenizer.TokenBytes(token).Span);
            mask = mask.Next(token);
        }

        // Not ended within bounds: complete it with the shortest way out, one closing token at a time.
        for (int step = 0; step < 2000; step++)
        {
            Array.Clear(logits);
            mask.Apply(logits);
            int token = Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)
                .OrderBy(id => DemoModel.Tokenizer.IsEndOfTurn(id) ? 0 : DemoModel.Tokenizer.TokenBytes(id).Span is [(byte)'"' or (byte)'}' or (byte)']'] ? 1 : 2)
                .ThenBy(id => DemoModel.Tokenizer.TokenBytes(id).Length).First();
            if (DemoModel.Tokenizer.IsEndOfTurn(token))
            {
                return Encoding.UTF8.GetString([.. text]);
            }

            text.AddRange(DemoModel.Tokenizer.TokenBytes(token).Span);
            mask = mask.Next(token);
        }

        throw new InvalidOperationException("no end: " + Encoding.UTF8.GetString([.. text]));
    }

    private static JsonDocument Parsed(string answer)
    {
        try
        {
            return JsonDocument.Parse(answer, new JsonDocumentOptions { MaxDepth = 256 });
        }
        catch (JsonException exception)
        {
            throw new InvalidOperationException($"no JSON: {answer}", exception);
        }
    }
}
