using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary>A prompt with the greedy continuation another implementation computed in float32 (fixtures/greedy.json).</summary>
internal sealed record ReferenceText(string Prompt, int[] PromptIds, int[] GreedyIds, double MinTop2Gap)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<ReferenceText> All { get; } = Read();

    private static ReferenceText[] Read()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "greedy.json")));
        static int[] Ids(JsonElement array) => [.. array.EnumerateArray().Select(static id => id.GetInt32())];
        return
        [
            .. document.RootElement.EnumerateArray().Select(static entry => new ReferenceText(
                entry.GetProperty("prompt").GetString()!, Ids(entry.GetProperty("prompt_ids")), Ids(entry.GetProperty("greedy_ids")),
                entry.GetProperty("min_top2_gap").GetDouble())),
        ];
    }
}
