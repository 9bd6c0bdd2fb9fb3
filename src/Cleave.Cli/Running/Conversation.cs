using Cleave.Tokenization;

namespace Cleave.Cli.Running;

/// <summary>Renders a conversation as the token ids the model expects.</summary>
internal static class Conversation
{
    /// <summary>The ids of <paramref name="turns"/> in the model's own chat template, up to where the assistant speaks next.</summary>
    public static int[] PromptIds(Tokenizer tokenizer, IReadOnlyList<ChatTurn> turns)
    {
        var text = new System.Text.StringBuilder();
        foreach (ChatTurn turn in turns)
        {
            text.Append("<|").Append(turn.Role).Append("|>\n").Append(turn.Text).Append(turn.Role == "assistant" ? "<|end|>\n" : "\n");
        }

        text.Append("<|assistant|>\n");
        return [0, .. tokenizer.Encode(text.ToString(), parseSpecial: true)];
    }
}
