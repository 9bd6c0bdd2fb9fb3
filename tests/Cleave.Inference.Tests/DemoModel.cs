using System.Text.Json;
using System.Text.Json.Serialization;
using Cleave.Compute;
using Cleave.Inference.Sessions;
using Cleave.Models;

namespace Cleave.Inference.Tests;

/// <summary>The bundled model and its reference texts.</summary>
internal static class DemoModel
{
    public static string Root { get; } = FindRoot();

    public static string Path => System.IO.Path.Combine(Root, "models", "cleave-demo-24m.q8_0.gguf");

    public static string DraftPath => System.IO.Path.Combine(Root, "models", "cleave-demo-draft-4m.q8_0.gguf");

    public static IReadOnlyList<GreedyCase> GreedyCases { get; } = JsonSerializer.Deserialize<List<GreedyCase>>(
        File.ReadAllText(System.IO.Path.Combine(AppContext.BaseDirectory, "fixtures", "greedy.json")))!;

    /// <summary>The trusted side, cut or (null) unsplit.</summary>
    public static TrustedModel Load(Cut? cut = null, int kvTokens = 4096)
    {
        IModelSource source = ModelSource.Open(Path);
        return TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), cut, kvTokens);
    }

    /// <summary>A session whose middle runs in this process.</summary>
    public static SplitSession LocalSession(TrustedModel model, int maxTokens = 2048) =>
        new(model, model.CreateLocalMiddle(maxTokens, 4096), maxTokens);

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException("Cleave.slnx not found above the test assembly");
    }

    internal sealed record GreedyCase(
        [property: JsonPropertyName("prompt")] string Prompt,
        [property: JsonPropertyName("prompt_ids")] int[] PromptIds,
        [property: JsonPropertyName("greedy_ids")] int[] GreedyIds,
        [property: JsonPropertyName("text")] string Text,
        [property: JsonPropertyName("min_top2_gap")] double MinTop2Gap);
}
