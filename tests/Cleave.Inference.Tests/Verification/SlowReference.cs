using System.Runtime.InteropServices;

namespace Cleave.Inference.Tests.Verification;

/// <summary>Reference activations that <see cref="SlowModel"/> computed, in the format of <c>cleave verify</c>.</summary>
internal static class SlowReference
{
    private const int PromptTokens = 5;
    private const int GreedyTokens = 8;

    public static string Write(Checkpoint checkpoint, string path, int tokens)
    {
        var model = new SlowModel(checkpoint);
        int vocabulary = checkpoint.Config["vocab_size"]!.GetValue<int>();
        var random = new Random(tokens);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => random.Next(vocabulary))];
        (double[][][] layers, double[][] logits) = model.Forward(ids);
        var golden = new Checkpoint([]);
        Ids("input_ids", ids);
        for (int layer = 0; layer < layers.Length; layer++)
        {
            Numbers($"layer_{layer}", layers[layer]);
        }

        Numbers("logits", logits);
        List<int> greedy = [.. ids.Take(PromptTokens)];
        Ids("greedy_prompt", [.. greedy]);
        for (int i = 0; i < GreedyTokens; i++)
        {
            double[] last = model.Forward(greedy).Logits[^1];
            greedy.Add(Array.IndexOf(last, last.Max()));
        }

        Ids("greedy_output", [.. greedy.Skip(PromptTokens)]);
        return golden.WriteFile(path);

        void Ids(string name, int[] values) => golden.Add(name, "I64", [values.Length], MemoryMarshal.AsBytes<long>(Array.ConvertAll(values, static id => (long)id)).ToArray());

        void Numbers(string name, double[][] rows) =>
            golden.Add(name, "F32", [rows.Length, rows[0].Length], MemoryMarshal.AsBytes<float>([.. rows.SelectMany(static row => row).Select(static value => (float)value)]).ToArray());
    }
}
