using Cleave.Tokenization;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Cli.Running;

/// <summary>Renders a conversation as the token ids the model expects.</summary>
internal static class Conversation
{
    /// <summary>
    /// The ids of <paramref name="turns"/> in the model's own chat template, up to where the assistant speaks next. Control
    /// tokens come from the template alone: what users write is text, whatever it spells.
    /// </summary>
    /// <exception cref="CliException">The model has no chat template.</exception>
    /// <exception cref="ChatTemplateException">The template is not supported or refuses the conversation.</exception>
    public static int[] PromptIds(Tokenizer tokenizer, IReadOnlyList<ChatTurn> turns)
    {
        ChatTemplate template = ChatTemplate.Of(tokenizer.Definition) ?? throw new CliException(
            $"{tokenizer.Definition.Source} has no chat template", "send the prompt as it is: cleave run --prompt TEXT, without --chat");
        return tokenizer.EncodePrompt(template.Render(new ChatPrompt
        {
            Messages = [.. turns.Select(static turn => new ChatMessage(turn.Role, turn.Text))],
            BosToken = TextOf(tokenizer, tokenizer.BosId),
            EosToken = TextOf(tokenizer, tokenizer.Definition.EosId),
        }));
    }

    /// <summary>The ids of a text as it is: BOS first where the model wants one, and text that spells a control token is that token.</summary>
    public static int[] PlainIds(Tokenizer tokenizer, string text) =>
        [.. tokenizer is { AddBos: true, BosId: { } bos } ? (int[])[bos] : [], .. tokenizer.Encode(text, parseSpecial: true)];

    private static string TextOf(Tokenizer tokenizer, int? id) => id is { } known ? tokenizer.TokenText(known) : "";
}
