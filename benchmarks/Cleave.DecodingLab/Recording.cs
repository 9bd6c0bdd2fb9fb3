using System.Text.Json;
using Cleave.Compute;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Models;

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
    /// <param name="promptsPath">JSON lines with "kind" and "prompt".</param>
    /// <param name="outputPath">Where the recordings go, JSON lines.</param>
    /// <param name="tokens">Length of a continuation; end-of-turn tokens do not end it.</param>
    public static async Task RecordAsync(string modelPath, string promptsPath, string outputPath, int tokens)
    {
        IModelSource source = ModelSource.Open(modelPath);
        using TrustedModel model = TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), null, 4096);
        using StreamWriter writer = new(outputPath);
        foreach (string line in File.ReadLines(promptsPath))
        {
            JsonElement prompt = JsonElement.Parse(line);
            int[] ids = [model.Tokenizer.BosId!.Value, .. model.Tokenizer.Encode(prompt.GetProperty("prompt").GetString()!, true)];
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
