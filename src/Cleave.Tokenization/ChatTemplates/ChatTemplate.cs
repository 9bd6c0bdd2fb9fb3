using Cleave.Tokenization.ChatTemplates.Jinja;

namespace Cleave.Tokenization.ChatTemplates;

/// <summary>
/// A model's chat template: the part of Jinja 2 that Hugging Face templates use, with trim_blocks and lstrip_blocks on, in
/// a sandbox without side effects. Steps, recursion, sizes and output are bounded, so a hostile template fails and does
/// not hang. Immutable; used by any number of threads.
/// </summary>
public sealed class ChatTemplate
{
    // Roles may take part in a control token ("<|" + role + "|>"), so they count as the template's own text, if known.
    private static readonly HashSet<string> KnownRoles = new(StringComparer.Ordinal)
    {
        "system", "user", "assistant", "tool", "developer", "function", "ipython", "tool_results", "model", "critic", "document",
        "context", "available_tools",
    };

    // The bundled models' template. They were trained on text with the line break after its last block, which trim_blocks
    // would take away; all other templates are written for trim_blocks.
    private const string Bundled =
        "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}"
        + "{% if message['role'] == 'assistant' %}<|end|>{% endif %}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

    private readonly Node[] _body;

    private ChatTemplate(string source, Node[] body)
    {
        Source = source;
        _body = body;
    }

    /// <summary>The template as given.</summary>
    public string Source { get; }

    /// <summary>A tokenizer's own template, or null when it has none.</summary>
    /// <exception cref="ChatTemplateException">As for <see cref="Parse"/>.</exception>
    public static ChatTemplate? Of(TokenizerDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        return definition.ChatTemplate is { } source ? Parse(source, trimBlocks: source.TrimEnd('\n') != Bundled) : null;
    }

    /// <summary>Parses a template.</summary>
    /// <param name="source">Jinja source.</param>
    /// <param name="trimBlocks">Jinja's trim_blocks and lstrip_blocks, which Hugging Face turns on.</param>
    /// <exception cref="ChatTemplateException">A syntax error, with its line, or a construct that is not supported.</exception>
    public static ChatTemplate Parse(string source, bool trimBlocks = true)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new ChatTemplate(source, Parser.Parse(Lexer.Read(source, trimBlocks)));
    }

    /// <summary>Renders a conversation.</summary>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, fails, or passes a bound.</exception>
    public RenderedPrompt Render(ChatPrompt prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        var budget = new Budget();
        var globals = new Scope(null);
        Functions.Define(globals, budget, prompt.Clock);
        foreach ((string name, object? value) in prompt.Variables ?? new Dictionary<string, object?>())
        {
            globals.Set(name, Values.FromHost(value));
        }

        globals.Set("messages", prompt.Messages.Select(message => (object?)ToDictionary(message)).ToList());
        globals.Set("add_generation_prompt", prompt.AddGenerationPrompt);
        globals.Set("bos_token", new TemplateText(prompt.BosToken));
        globals.Set("eos_token", new TemplateText(prompt.EosToken));
        TemplateText text = new Interpreter(budget).Render(_body, new Scope(globals));
        return new RenderedPrompt(text.Text, text.Data);
    }

    private static OrderedDictionary<object, object?> ToDictionary(ChatMessage message)
    {
        var fields = new OrderedDictionary<object, object?>
        {
            [new TemplateText("role")] = KnownRoles.Contains(message.Role) ? new TemplateText(message.Role) : TemplateText.OfData(message.Role),
            [new TemplateText("content")] = message.Content is null ? null : TemplateText.OfData(message.Content),
        };
        foreach ((string name, object? value) in message.Fields ?? new Dictionary<string, object?>())
        {
            fields[new TemplateText(name)] = Values.FromHost(value);
        }

        return fields;
    }
}
