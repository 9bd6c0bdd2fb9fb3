using System.Text.Json;

namespace Cleave.Gateway.Grammar;

/// <summary>
/// A JSON Schema as a grammar whose texts all satisfy it. Properties come in the schema's order. What cannot be
/// enforced is refused by name, never ignored.
/// </summary>
internal sealed class SchemaCompiler
{
    private const int MaxLength = 4096;
    private const int MaxItems = 4096;
    private const int MaxDepth = 64;
    private const int MaxEnum = 5000;

    private readonly GrammarBuilder _builder = new();
    private readonly JsonGrammar _json;
    private readonly JsonElement _root;
    private readonly Dictionary<string, GrammarNode> _references = new(StringComparer.Ordinal);
    private readonly Queue<(GrammarNode Rule, JsonElement Schema, string Path)> _pending = new();

    private SchemaCompiler(JsonElement root)
    {
        _root = root;
        _json = new JsonGrammar(_builder);
    }

    /// <summary>A machine for texts that satisfy a schema.</summary>
    /// <exception cref="GrammarException">The schema is malformed, contradicts itself, or asks for what is not supported.</exception>
    public static GrammarMachine Compile(JsonElement schema, TokenTrie trie)
    {
        var compiler = new SchemaCompiler(schema);
        GrammarNode start = compiler.Reference("#");
        while (compiler._pending.TryDequeue(out (GrammarNode Rule, JsonElement Schema, string Path) next))
        {
            compiler.Schema(next.Rule, next.Schema, next.Path, 0).EndsRule = true;
        }

        compiler._builder.CheckProgress(compiler._references.Values);
        return new GrammarMachine(compiler._builder, start, trie);
    }

    private GrammarNode Schema(GrammarNode from, JsonElement schema, string path, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new GrammarException($"{path}: schemas nest more than {MaxDepth} deep");
        }

        if (schema.ValueKind == JsonValueKind.True)
        {
            return _builder.Call(from, _json.Value);
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            throw new GrammarException(schema.ValueKind == JsonValueKind.False ? $"{path}: the schema false allows no value" : $"{path}: a schema is an object, not {schema.ValueKind}");
        }

        if (schema.TryGetProperty("$ref", out JsonElement reference))
        {
            SchemaKeywords.Allow(schema, path, "$ref");
            return _builder.Call(from, Reference(SchemaKeywords.Text(reference, path + "/$ref")));
        }

        if (schema.TryGetProperty("const", out JsonElement constant))
        {
            SchemaKeywords.Allow(schema, path, "const", "type");
            return _builder.OneOfTexts(from, [SchemaKeywords.Spell(constant)]);
        }

        if (schema.TryGetProperty("enum", out JsonElement values))
        {
            SchemaKeywords.Allow(schema, path, "enum", "type");
            return values.ValueKind == JsonValueKind.Array && values.GetArrayLength() is > 0 and <= MaxEnum
                ? _builder.OneOfTexts(from, values.EnumerateArray().Select(SchemaKeywords.Spell))
                : throw new GrammarException($"{path}/enum: an array of 1 to {MaxEnum} values is expected");
        }

        if (schema.TryGetProperty("anyOf", out JsonElement alternatives))
        {
            SchemaKeywords.Allow(schema, path, "anyOf");
            return Alternatives(from, alternatives, path + "/anyOf", depth);
        }

        if (schema.TryGetProperty("allOf", out JsonElement all))
        {
            SchemaKeywords.Allow(schema, path, "allOf");
            return all.ValueKind == JsonValueKind.Array && all.GetArrayLength() == 1
                ? Schema(from, all[0], path + "/allOf/0", depth + 1)
                : throw new GrammarException($"{path}/allOf: only a single schema is supported; write the properties of all in one object");
        }

        if (!schema.TryGetProperty("type", out JsonElement type))
        {
            return schema.TryGetProperty("properties", out _) ? Typed(from, schema, "object", path, depth)
                : schema.TryGetProperty("items", out _) ? Typed(from, schema, "array", path, depth)
                : Anything(from, schema, path);
        }

        if (type.ValueKind != JsonValueKind.Array)
        {
            return Typed(from, schema, SchemaKeywords.Text(type, path + "/type"), path, depth);
        }

        GrammarNode end = _builder.Node();
        foreach (JsonElement one in type.EnumerateArray())
        {
            GrammarNode start = _builder.Node();
            from.Epsilon.Add(start);
            Typed(start, schema, SchemaKeywords.Text(one, path + "/type"), path, depth, isOneOfSeveral: true).Epsilon.Add(end);
        }

        return end;
    }

    private GrammarNode Anything(GrammarNode from, JsonElement schema, string path)
    {
        SchemaKeywords.Allow(schema, path);
        return _builder.Call(from, _json.Value);
    }

    private GrammarNode Alternatives(GrammarNode from, JsonElement alternatives, string path, int depth)
    {
        if (alternatives.ValueKind != JsonValueKind.Array || alternatives.GetArrayLength() == 0)
        {
            throw new GrammarException($"{path}: an array of schemas is expected");
        }

        GrammarNode end = _builder.Node();
        int index = 0;
        foreach (JsonElement alternative in alternatives.EnumerateArray())
        {
            GrammarNode start = _builder.Node();
            from.Epsilon.Add(start);
            Schema(start, alternative, $"{path}/{index++}", depth + 1).Epsilon.Add(end);
        }

        return end;
    }

    private GrammarNode Typed(GrammarNode from, JsonElement schema, string type, string path, int depth, bool isOneOfSeveral = false)
    {
        switch (type)
        {
            case "object":
                Check("properties", "required", "additionalProperties", "minProperties", "maxProperties");
                return Object(from, schema, path, depth);
            case "array":
                Check("items", "minItems", "maxItems");
                (int minItems, int? maxItems) = SchemaKeywords.Bounds(schema, "minItems", "maxItems", MaxItems, path);
                GrammarNode item = schema.TryGetProperty("items", out JsonElement items)
                    ? _builder.Rule(at => Schema(at, items, path + "/items", depth + 1))
                    : _json.Value;
                return _json.List(from, at => _builder.Call(at, item), minItems, maxItems);
            case "string":
                Check("minLength", "maxLength", "pattern", "format");
                return String(from, schema, path);
            case "integer":
                Check("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format");
                return Integer(from, schema, path);
            case "number":
                Check("format");
                return _builder.Call(from, _json.Number);
            case "boolean":
                Check();
                return _builder.OneOfTexts(from, ["true", "false"]);
            case "null":
                Check();
                return _builder.Text(from, "null");
            default:
                throw new GrammarException($"{path}/type: '{type}' is no JSON type; object, array, string, integer, number, boolean and null are");
        }

        // Keywords of another type say nothing about this one, but only where the schema allows several types are they no mistake.
        void Check(params ReadOnlySpan<string> keywords)
        {
            if (isOneOfSeveral)
            {
                SchemaKeywords.Allow(
                    schema, path, "type", "properties", "required", "additionalProperties", "minProperties", "maxProperties", "items", "minItems", "maxItems",
                    "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum");
                if (type == "number" && (schema.TryGetProperty("minimum", out _) || schema.TryGetProperty("maximum", out _)))
                {
                    throw new GrammarException($"{path}: bounds of a number are not supported; those of an integer are");
                }
            }
            else
            {
                SchemaKeywords.Allow(schema, path, ["type", .. keywords]);
            }
        }
    }

    /// <summary>
    /// An object: declared properties in the schema's order, optional ones may be left out, and nothing else (which satisfies every
    /// additionalProperties). Without declared properties, a map.
    /// </summary>
    private GrammarNode Object(GrammarNode from, JsonElement schema, string path, int depth)
    {
        var required = new HashSet<string>(StringComparer.Ordinal);
        if (schema.TryGetProperty("required", out JsonElement names))
        {
            foreach (JsonElement name in names.ValueKind == JsonValueKind.Array ? names.EnumerateArray() : throw new GrammarException($"{path}/required: an array of names is expected"))
            {
                required.Add(SchemaKeywords.Text(name, path + "/required"));
            }
        }

        bool declared = schema.TryGetProperty("properties", out JsonElement properties);
        if (declared && properties.ValueKind != JsonValueKind.Object)
        {
            throw new GrammarException($"{path}/properties: an object is expected");
        }

        schema.TryGetProperty("additionalProperties", out JsonElement additional);
        if (!declared || !properties.EnumerateObject().Any())
        {
            if (required.Count > 0)
            {
                throw new GrammarException($"{path}/required: '{required.First()}' is not declared in properties");
            }

            if (additional.ValueKind == JsonValueKind.False)
            {
                return _builder.Text(_json.Space(_builder.Text(from, "{")), "}");
            }

            (int min, int? max) = SchemaKeywords.Bounds(schema, "minProperties", "maxProperties", MaxItems, path);
            GrammarNode value = additional.ValueKind == JsonValueKind.Object
                ? _builder.Rule(at => Schema(at, additional, path + "/additionalProperties", depth + 1))
                : _json.Value;
            return _json.Map(from, at => _builder.Call(at, value), min, max);
        }

        foreach (string bound in (string[])["minProperties", "maxProperties"])
        {
            if (schema.TryGetProperty(bound, out _))
            {
                throw new GrammarException($"{path}/{bound}: is not supported beside properties; list the required ones");
            }
        }

        // Two tracks through the properties: before the first one written (no comma yet) and after it.
        GrammarNode? none = _json.Space(_builder.Text(from, "{"));
        GrammarNode? some = null;
        foreach (JsonProperty property in properties.EnumerateObject())
        {
            bool optional = !required.Remove(property.Name);
            GrammarNode start = _builder.Node();
            none?.Epsilon.Add(start);
            if (some is not null)
            {
                _json.Comma(some).Epsilon.Add(start);
            }

            GrammarNode colon = _json.Colon(_builder.Text(start, SchemaKeywords.Spell(property.Name)));
            GrammarNode written = _json.Space(Schema(colon, property.Value, $"{path}/properties/{property.Name}", depth + 1));
            if (optional && some is not null)
            {
                GrammarNode either = _builder.Node();
                some.Epsilon.Add(either);
                written.Epsilon.Add(either);
                written = either;
            }

            some = written;
            none = optional ? none : null;
        }

        if (required.Count > 0)
        {
            throw new GrammarException($"{path}/required: '{required.First()}' is not declared in properties");
        }

        GrammarNode end = _builder.Node();
        _builder.Text(some!, "}").Epsilon.Add(end);
        if (none is not null)
        {
            _builder.Text(none, "}").Epsilon.Add(end);
        }

        return end;
    }

    private GrammarNode String(GrammarNode from, JsonElement schema, string path)
    {
        bool hasLength = schema.TryGetProperty("minLength", out _) || schema.TryGetProperty("maxLength", out _);
        schema.TryGetProperty("pattern", out JsonElement pattern);
        schema.TryGetProperty("format", out JsonElement format);
        if ((pattern.ValueKind, format.ValueKind, hasLength) is (JsonValueKind.Undefined, JsonValueKind.Undefined, false))
        {
            return _builder.Call(from, _json.String);
        }

        if ((pattern.ValueKind == JsonValueKind.Undefined ? 0 : 1) + (format.ValueKind == JsonValueKind.Undefined ? 0 : 1) + (hasLength ? 1 : 0) > 1)
        {
            throw new GrammarException($"{path}: only one of pattern, format and length limits is supported at a time; a pattern can say all");
        }

        if (hasLength)
        {
            (int min, int? max) = SchemaKeywords.Bounds(schema, "minLength", "maxLength", MaxLength, path);
            return _json.Quoted(from, at => _builder.Repeat(at, min, max, c => _builder.Call(c, _json.Character)));
        }

        string? expression;
        if (pattern.ValueKind != JsonValueKind.Undefined)
        {
            expression = SchemaKeywords.Text(pattern, path + "/pattern");
        }
        else if (!SchemaFormats.TryGetPattern(SchemaKeywords.Text(format, path + "/format"), out expression))
        {
            throw new GrammarException($"{path}/format: '{format}' is not supported; {string.Join(", ", SchemaFormats.Names)} are");
        }

        return _json.Quoted(from, at => PatternCompiler.Add(_builder, at, expression));
    }

    private GrammarNode Integer(GrammarNode from, JsonElement schema, string path)
    {
        long? min = null;
        long? max = null;
        foreach ((string name, bool isLower, int step) in ((string, bool, int)[])[("minimum", true, 0), ("exclusiveMinimum", true, 1), ("maximum", false, 0), ("exclusiveMaximum", false, -1)])
        {
            if (!schema.TryGetProperty(name, out JsonElement bound))
            {
                continue;
            }

            if (bound.ValueKind != JsonValueKind.Number || !bound.TryGetDouble(out double number) || Math.Abs(number) > IntegerRange.Limit)
            {
                throw new GrammarException($"{path}/{name}: a number of at most 15 digits is expected");
            }

            double exact = isLower ? Math.Ceiling(number) : Math.Floor(number);
            long value = (long)exact + (exact == number ? step : 0);
            if (isLower)
            {
                min = Math.Max(min ?? long.MinValue, value);
            }
            else
            {
                max = Math.Min(max ?? long.MaxValue, value);
            }
        }

        try
        {
            return min is null && max is null
                ? _builder.Call(from, _json.Integer)
                : IntegerRange.Add(_builder, from, min ?? -IntegerRange.Limit, max ?? IntegerRange.Limit);
        }
        catch (GrammarException exception)
        {
            throw new GrammarException($"{path}: {exception.Message}");
        }
    }

    /// <summary>The rule of "#" or "#/a/b", compiled when first referred to.</summary>
    private GrammarNode Reference(string pointer)
    {
        if (_references.TryGetValue(pointer, out GrammarNode? rule))
        {
            return rule;
        }

        if (!pointer.StartsWith('#') || (pointer.Length > 1 && pointer[1] != '/'))
        {
            throw new GrammarException($"$ref '{pointer}': only references into the schema itself are supported, such as #/$defs/name");
        }

        JsonElement target = _root;
        foreach (string part in pointer.Split('/').Skip(1))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            JsonElement? inner = target.ValueKind switch
            {
                JsonValueKind.Object when target.TryGetProperty(name, out JsonElement property) => property,
                JsonValueKind.Array when int.TryParse(name, out int index) && index >= 0 && index < target.GetArrayLength() => target[index],
                _ => null,
            };
            target = inner ?? throw new GrammarException($"$ref '{pointer}': there is no such place in the schema");
        }

        if (_references.Count > 1000)
        {
            throw new GrammarException("the schema has more than 1000 references");
        }

        rule = _builder.Node();
        _references.Add(pointer, rule);
        _pending.Enqueue((rule, target, pointer)); // not at once: a long chain of references must not nest calls
        return rule;
    }
}
