using System.Text.Json;
using Cleave.Compute;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.DecodingLab;

/// <summary>A prompt and the target's own continuation of it under one way of sampling.</summary>
internal sealed record Recording(string Kind, string Sampling, int[] Prompt, int[] Output)
{
    public static IReadOnlyDictionary<string, SamplingOptions> Samplings { get; } = new Dictionary<string, SamplingOptions>
    {
        ["greedy"] = new(),
        ["t0.7"] = new() { Temperature = 0.7, TopP = 0.9, Seed = 5 },
        ["t1.2"] = new() { Temperature = 1.2, RepetitionPenalty = 1.1, FrequencyPenalty = 0.3, PresencePenalty = 0.2, MinP = 0.02, Seed = 12 },
    };

    /// <summary>Records every prompt under every way of sampling.</summary>
    /// <param name="modelPath">The target.</param>
    /// <param name="promptsPath">Prompts in the format of benchmarks/prompts/prompts.json.</param>
    /// <param name="outputPath">Where the recordings go, JSON lines.</param>
    /// <param name="tokens">Length of a continuation; end-of-turn tokens do not end it.</param>
    public static async Task RecordAsync(string modelPath, string promptsPath, string outputPath, int tokens)
    {
        IModelSource source = ModelSource.Open(modelPath);
        using TrustedModel model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), null, 4096);
        using StreamWriter writer = new(outputPath);
        ChatTemplate template = ChatTemplate.Of(model.Tokenizer.Definition)!;
        foreach (JsonElement prompt in JsonElement.Parse(await File.ReadAllTextAsync(promptsPath)).EnumerateArray())
        {
            string text = prompt.GetProperty("text").GetString()!;
            int bos = model.Tokenizer.BosId!.Value;
            int[] ids = prompt.TryGetProperty("chat", out JsonElement chat) && !chat.GetBoolean()
                ? [bos, .. model.Tokenizer.Encode(text, false)]
                : model.Tokenizer.EncodePrompt(template.Render(new ChatPrompt
                {
                    Messages = [new ChatMessage("user", text)],
                    BosToken = model.Tokenizer.TokenText(bos),
                    EosToken = model.Tokenizer.TokenText(model.Tokenizer.Definition.EosId!.Value),
                }));
            foreach ((string name, SamplingOptions sampling) in Samplings)
            {
                await using var generator = new TextGenerator(new SplitSession(model, model.CreateLocalMiddle(2048, 4096), 2048), new SuffixDrafter());
                var output = new List<int>();
                var options = new GenerationOptions { Sampling = sampling, Decoding = new DecodingOptions { MaxTokens = tokens, StopAtEndOfTurn = false } };
                await foreach (DecodedToken token in generator.GenerateAsync(ids, options))
                {
                    output.Add(token.Token);
                }

                await writer.WriteLineAsync(JsonSerializer.Serialize(new Recording(prompt.GetProperty("kind").GetString()!, name, ids, [.. output])));
            }
        }
    }

    public static List<Recording> Load(string path) => [.. File.ReadLines(path).Select(line => JsonSerializer.Deserialize<Recording>(line)!)];
}
