using System.Text.Json;
using Cleave.Cli.Reports;
using Cleave.Cli.Running;
using Cleave.Tokenization;

namespace Cleave.Cli.Benchmarking;

/// <summary>A prompt of the study.</summary>
/// <param name="Kind">The paper's kinds (code, structured, creative, conversational), or repeat: the continuation repeats the prompt.</param>
/// <param name="Text">The text.</param>
/// <param name="Chat">True when it is a user's message for the chat template, false when it is continued as it is.</param>
internal sealed record BenchPrompt(string Kind, string Text, bool Chat = true)
{
    /// <summary>The committed prompts, ten of each kind.</summary>
    public static IReadOnlyList<BenchPrompt> Bundled()
    {
        using Stream stream = typeof(BenchPrompt).Assembly.GetManifestResourceStream("prompts.json")!;
        return JsonSerializer.Deserialize(stream, ReportJson.Output.IReadOnlyListBenchPrompt)!;
    }

    /// <summary>Prompts from a file in the format of benchmarks/prompts/prompts.json.</summary>
    /// <exception cref="CliException">The file is not a JSON array of prompts with kind and text.</exception>
    public static IReadOnlyList<BenchPrompt> Read(FileInfo file)
    {
        try
        {
            using FileStream stream = file.OpenRead();
            IReadOnlyList<BenchPrompt>? prompts = JsonSerializer.Deserialize(stream, ReportJson.Output.IReadOnlyListBenchPrompt);
            return prompts is { Count: > 0 } && prompts.All(static p => p is { Kind.Length: > 0, Text.Length: > 0 })
                ? prompts
                : throw new CliException($"{file.FullName} holds no prompts; it is a JSON array of objects with \"kind\", \"text\" and, when it is a chat message, \"chat\": true");
        }
        catch (JsonException exception)
        {
            throw new CliException($"{file.FullName} is not a JSON array of prompts: {exception.Message}");
        }
    }

    /// <summary>Token ids, BOS included where the model wants it.</summary>
    public int[] Ids(Tokenizer tokenizer) => Chat
        ? Conversation.PromptIds(tokenizer, [new ChatTurn("user", Text)])
        : [.. tokenizer is { AddBos: true, BosId: { } bos } ? (int[])[bos] : [], .. tokenizer.Encode(Text, parseSpecial: false)];
}
