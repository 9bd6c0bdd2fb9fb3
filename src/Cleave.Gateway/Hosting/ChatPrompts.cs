using Cleave.Gateway.OpenAi;
using Cleave.Tokenization;

namespace Cleave.Gateway.Hosting;

/// <summary>Conversations as prompt ids, by the model's own chat template.</summary>
internal sealed class ChatPrompts(Tokenizer tokenizer)
{
    /// <summary>The prompt for the assistant's next message, BOS included where the model wants it.</summary>
    public int[] Encode(IReadOnlyList<ChatMessage> messages)
    {
        var ids = new List<int>(tokenizer is { AddBos: true, BosId: { } bos } ? [bos] : []);
        foreach (ChatMessage m in messages)
        {
            ids.AddRange(tokenizer.Encode($"<|{m.Role}|>\n", true));
            ids.AddRange(tokenizer.Encode(m.Content, false));
            ids.AddRange(tokenizer.Encode(m.Role == "assistant" ? "<|end|>\n" : "\n", true));
        }

        ids.AddRange(tokenizer.Encode("<|assistant|>\n", true));
        return [.. ids];
    }
}
