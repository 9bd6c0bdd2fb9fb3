using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Cleave.Gateway.Grammar;
using Cleave.Inference.Sampling;
using Cleave.Tokenization;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Gateway.OpenAi;

/// <summary>A request to /v1/chat/completions.</summary>
internal sealed partial record ChatFields
{
    private const string NoTools = "this server answers with text; describe the call in a json_schema response_format instead";

    /// <summary>Model asked for.</summary>
    public required string Model { get; init; }

    /// <summary>The conversation.</summary>
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>What all completions share.</summary>
    public required SamplingFields Common { get; init; }

    /// <summary>Most tokens of an answer; null goes on to the end of the context.</summary>
    public required int? MaxTokens { get; init; }

    /// <summary>Most likely tokens to report; null reports no log probabilities.</summary>
    public required int? TopLogProbabilities { get; init; }

    /// <summary>Grammar of the answer, or null.</summary>
    public required ITokenMask? Grammar { get; init; }

    /// <summary>Reads one.</summary>
    /// <exception cref="ApiException">It is malformed, or asks for what is not supported.</exception>
    public static ChatFields Read(JsonElement body, Tokenizer tokenizer, JsonGrammars grammars)
    {
        var request = new RequestReader(body);
        string model = request.String("model") ?? throw new ApiException(400, "you must provide a model parameter", "model", "missing_required_parameter");
        IReadOnlyList<ChatMessage> messages = Conversation(request);
        var common = SamplingFields.Read(request, tokenizer);
        int? maxTokens = request.Integer("max_tokens", 1, int.MaxValue);
        int? maxCompletionTokens = request.Integer("max_completion_tokens", 1, int.MaxValue);
        if (maxTokens is not null && maxCompletionTokens is not null)
        {
            throw ApiException.Invalid("max_tokens", "'max_tokens' and 'max_completion_tokens' cannot both be given; they mean the same");
        }

        bool logprobs = request.Boolean("logprobs") ?? false;
        int? top = request.Integer("top_logprobs", 0, 20);
        if (top is not null && !logprobs)
        {
            throw ApiException.Invalid("top_logprobs", "'top_logprobs' is only allowed when 'logprobs' is true");
        }

        ITokenMask? grammar = ResponseFormat(request, grammars);
        request.Refuse("tools", NoTools);
        request.Refuse("functions", NoTools);
        if (request.Any("tool_choice") is { } choice && !(choice.ValueKind == JsonValueKind.String && choice.GetString() is "none" or "auto"))
        {
            throw ApiException.Unsupported("tool_choice", $"'tool_choice' is not supported: {NoTools}");
        }

        request.Refuse("function_call", NoTools);
        request.Ignore("parallel_tool_calls");
        request.Refuse("audio", "answers are text");
        request.Refuse("prediction", "drafts are made by the decoder, without the caller's help");
        request.Refuse("reasoning_effort", "the model has no such setting");
        request.Refuse("verbosity", "the model has no such setting");
        request.Refuse("web_search_options", "nothing is looked up");
        if (request.Array("modalities") is { Count: > 0 } modalities
            && !(modalities is [{ ValueKind: JsonValueKind.String } only] && only.GetString() == "text"))
        {
            throw ApiException.Unsupported("modalities", "answers are text: 'modalities' can only be [\"text\"]");
        }

        if (request.Boolean("store") == true)
        {
            throw ApiException.Unsupported("store", "nothing is stored: 'store' can only be false");
        }

        request.RejectUnknown();
        return new ChatFields
        {
            Model = model,
            Messages = messages,
            Common = common,
            MaxTokens = maxTokens ?? maxCompletionTokens,
            TopLogProbabilities = logprobs ? top ?? 0 : null,
            Grammar = grammar,
        };
    }

    private static List<ChatMessage> Conversation(RequestReader request)
    {
        IReadOnlyList<JsonElement> elements = request.Array("messages");
        if (elements.Count == 0)
        {
            throw new ApiException(400, "'messages' must hold at least one message", "messages", "missing_required_parameter");
        }

        var messages = new List<ChatMessage>();
        for (int i = 0; i < elements.Count; i++)
        {
            string path = $"messages[{i}]";
            var message = new RequestReader(elements[i], path);
            string role = message.String("role") switch
            {
                "developer" => "system", // its newer name
                "system" or "user" or "assistant" => message.String("role")!,
                "tool" or "function" => throw ApiException.Unsupported(path + ".role", $"tool messages are not supported: {NoTools}"),
                var other => throw ApiException.Invalid(path + ".role", $"'{path}.role' is '{other}'; it must be system, developer, user or assistant"),
            };
            string text = Content(message, path);
            message.Refuse("tool_calls", NoTools);
            message.Refuse("function_call", NoTools);
            message.Refuse("audio", "messages are text");
            message.Ignore("name", "refusal", "annotations");
            message.RejectUnknown();
            messages.Add(new ChatMessage(role, text));
        }

        return messages;
    }

    private static string Content(RequestReader message, string path)
    {
        JsonElement content = message.Any("content") ?? throw ApiException.Invalid(path + ".content", $"'{path}.content' is missing");
        if (content.ValueKind == JsonValueKind.String)
        {
            return content.GetString()!;
        }

        if (content.ValueKind != JsonValueKind.Array)
        {
            throw ApiException.Invalid(path + ".content", $"'{path}.content' must be a string or an array of content parts");
        }

        var text = new StringBuilder();
        int index = 0;
        foreach (JsonElement element in content.EnumerateArray())
        {
            string partPath = $"{path}.content[{index++}]";
            var part = new RequestReader(element, partPath);
            string? type = part.String("type");
            if (type is not ("text" or "refusal"))
            {
                throw ApiException.Unsupported(partPath + ".type", $"content of type '{type}' is not supported; the model reads text");
            }

            text.Append(part.String(type) ?? throw ApiException.Invalid($"{partPath}.{type}", $"'{partPath}.{type}' is missing"));
            part.RejectUnknown();
        }

        return text.ToString();
    }

    private static ITokenMask? ResponseFormat(RequestReader request, JsonGrammars grammars)
    {
        if (request.Object("response_format") is not { } format)
        {
            return null;
        }

        string? type = format.String("type");
        RequestReader? schema = type == "json_schema"
            ? format.Object("json_schema") ?? throw ApiException.Invalid("response_format.json_schema", "'response_format.json_schema' is missing")
            : null;
        format.RejectUnknown();
        switch (type)
        {
            case "text":
                return null;
            case "json_object":
                return grammars.Object();
            case "json_schema":
                if (schema!.String("name") is not { } name || !SchemaName().IsMatch(name))
                {
                    throw ApiException.Invalid("response_format.json_schema.name", "'response_format.json_schema.name' must be 1 to 64 letters, digits, underscores or dashes");
                }

                schema.String("description");
                schema.Boolean("strict"); // a schema is always enforced
                JsonElement body = schema.Any("schema") ?? throw ApiException.Invalid("response_format.json_schema.schema", "'response_format.json_schema.schema' is missing");
                schema.RejectUnknown();
                try
                {
                    return grammars.Schema(body);
                }
                catch (GrammarException exception)
                {
                    throw ApiException.Invalid("response_format.json_schema.schema", "Invalid schema for response_format: " + exception.Message);
                }

            default:
                throw ApiException.Invalid("response_format.type", $"'response_format.type' is '{type}'; it must be text, json_object or json_schema");
        }
    }

    [GeneratedRegex("^[a-zA-Z0-9_-]{1,64}$")]
    private static partial Regex SchemaName();
}
