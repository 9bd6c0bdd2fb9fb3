using System.Numerics.Tensors;
using System.Text.Json;
using Cleave.Compute;

namespace Cleave.Benchmarks.Report;

/// <summary>
/// What storing keys and values in fewer bits does to the bundled model: its own greedy answers of 384 tokens, read back with each
/// type; divergence of the distributions from float32's, how often the most likely token is the same, and memory.
/// </summary>
internal static class KvFigures
{
    private const int Prompts = 12;
    private const int PromptTokens = 96;
    private const int AnswerTokens = 384;

    public static IEnumerable<Figure> Measure(CpuDevice device, string modelPath)
    {
        using var full = new BundledModel(device, modelPath);
        int[][] texts = [.. ReadPrompts().Take(Prompts).Select(text => full.Continue(Start(full.Tokenizer.Encode(text, parseSpecial: false)), AnswerTokens))];
        float[][] expected = [.. texts.Select(text => full.Logits(text).ToArray())];
        yield return new Figure("keys and values in F32, memory", full.KvBytesPerToken, "B/token");
        foreach (ElementType type in new[] { ElementType.F16, ElementType.BF16, ElementType.Q8_0 })
        {
            using var model = new BundledModel(device, modelPath, type);
            double divergence = 0;
            long same = 0;
            long tokens = 0;
            for (int i = 0; i < texts.Length; i++)
            {
                ReadOnlySpan<float> actual = model.Logits(texts[i]);
                for (int row = 0; row < texts[i].Length; row++)
                {
                    ReadOnlySpan<float> p = expected[i].AsSpan(row * model.VocabularySize, model.VocabularySize);
                    ReadOnlySpan<float> q = actual.Slice(row * model.VocabularySize, model.VocabularySize);
                    divergence += Divergence(p, q);
                    same += TensorPrimitives.IndexOfMax(p) == TensorPrimitives.IndexOfMax(q) ? 1 : 0;
                    tokens++;
                }
            }

            yield return new Figure($"keys and values in {type}, memory", model.KvBytesPerToken, "B/token", full.KvBytesPerToken, "F32", (double)model.KvBytesPerToken / full.KvBytesPerToken);
            yield return new Figure($"keys and values in {type}, divergence from F32", divergence / tokens * 1e6, "1e-6 nat");
            yield return new Figure($"keys and values in {type}, same most likely token", 100.0 * same / tokens, "%");
        }
    }

    private static ReadOnlySpan<int> Start(int[] prompt) => prompt.AsSpan(0, Math.Min(prompt.Length, PromptTokens));

    /// <summary>KL(p || q) of the softmaxes, in nat.</summary>
    private static double Divergence(ReadOnlySpan<float> p, ReadOnlySpan<float> q)
    {
        double logP = LogSum(p);
        double logQ = LogSum(q);
        double sum = 0;
        for (int i = 0; i < p.Length; i++)
        {
            double log = p[i] - logP;
            sum += Math.Exp(log) * (log - (q[i] - logQ));
        }

        return sum;
    }

    private static double LogSum(ReadOnlySpan<float> logits)
    {
        double max = TensorPrimitives.Max(logits);
        double sum = 0;
        foreach (float logit in logits)
        {
            sum += Math.Exp(logit - max);
        }

        return max + Math.Log(sum);
    }

    private static IEnumerable<string> ReadPrompts()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Program.Root(), "benchmarks", "prompts", "prompts.json")));
        string[] texts = [.. document.RootElement.EnumerateArray().Select(static prompt => prompt.GetProperty("text").GetString()!)];

        // Spread over the kinds, which follow one another in the file.
        return Enumerable.Range(0, Prompts).Select(i => texts[i * texts.Length / Prompts]);
    }
}
