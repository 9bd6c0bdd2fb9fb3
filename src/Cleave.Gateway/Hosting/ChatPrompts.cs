using Cleave.Tokenization;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Gateway.Hosting;

/// <summary>Conversations as prompt ids, by the model's own chat template. What messages say is data: control tokens come from the template alone.</summary>
internal sealed class ChatPrompts
{
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate? _template;
    private readonly string? _problem;

    /// <param name="tokenizer">Carries the template.</param>
    public ChatPrompts(Tokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        try
        {
            _template = ChatTemplate.Of(tokenizer.Definition);
            _problem = _template is null ? "the model has no chat template; use /v1/completions" : null;
        }
        catch (ChatTemplateException exception)
        {
            _problem = $"the model's chat template cannot be used: {exception.Message}; use /v1/completions";
        }
    }

    /// <summary>The prompt for the assistant's next message, BOS included where the model wants it.</summary>
    /// <exception cref="ChatTemplateException">The model has no template, or its template refuses the conversation.</exception>
    public int[] Encode(IReadOnlyList<ChatMessage> messages)
    {
        if (_template is null)
        {
            throw new ChatTemplateException(_problem!);
        }

        return _tokenizer.EncodePrompt(_template.Render(new ChatPrompt
        {
            Messages = messages,
            BosToken = _tokenizer.BosId is { } bos ? _tokenizer.TokenText(bos) : "",
            EosToken = _tokenizer.Definition.EosId is { } eos ? _tokenizer.TokenText(eos) : "",
        }));
    }
}
