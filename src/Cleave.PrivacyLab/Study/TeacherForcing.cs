using Cleave.Inference;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;
using Cleave.PrivacyLab.Statistics;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Study;

/// <summary>Runs given tokens over a split and reads what the model expects after each: the utility a defence leaves.</summary>
public static class TeacherForcing
{
    /// <summary>One sequence.</summary>
    /// <param name="model">The trusted side, its defence included.</param>
    /// <param name="tokens">BOS first.</param>
    /// <param name="wire">Activations on the wire.</param>
    /// <param name="noise">Embedding noise, or null.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<ForcedRun> RunAsync(
        TrustedModel model, int[] tokens, WireType wire, EmbeddingNoise? noise, CancellationToken cancellationToken)
    {
        var view = new WorkerView(model.Config.HiddenSize, wire, model.MiddleRange);
        int room = tokens.Length + 8;
        await using var session = new SplitSession(model, new WireTap(model.CreateLocalMiddle(room, 2048), view), room, noise);
        var parents = new ulong[tokens.Length];
        var ids = new ulong[tokens.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = session.NextRowId + (ulong)i;
            parents[i] = i == 0 ? 0 : ids[i - 1];
        }

        await session.SubmitAsync(tokens, parents, cancellationToken);
        await session.ReceiveAsync(cancellationToken);
        await session.EvaluateAsync(ids, cancellationToken);
        var expected = new int[tokens.Length];
        double loss = 0;
        for (int i = 0; i < tokens.Length; i++)
        {
            ReadOnlySpan<float> logits = session.Logits(ids[i]);
            BestFew.Find(logits, expected.AsSpan(i, 1));
            loss += i + 1 < tokens.Length ? Softmax.LogSum(logits) - logits[tokens[i + 1]] : 0;
        }

        return new ForcedRun(view, expected, loss);
    }

    /// <summary>Perplexity of a defended model and its agreement with the undefended one, over the same texts.</summary>
    public static async Task<KeptQuality> CompareAsync(
        TrustedModel plain, TrustedModel defended, IReadOnlyList<int[]> texts, WireType wire, Func<EmbeddingNoise?>? noise, CancellationToken cancellationToken)
    {
        return await CompareAsync(await RunAsync(plain, texts, cancellationToken), defended, texts, wire, noise, cancellationToken);
    }

    /// <summary>The undefended runs of several texts, to compare others with.</summary>
    public static async Task<IReadOnlyList<ForcedRun>> RunAsync(TrustedModel plain, IReadOnlyList<int[]> texts, CancellationToken cancellationToken)
    {
        var runs = new List<ForcedRun>();
        foreach (int[] text in texts)
        {
            runs.Add(await RunAsync(plain, text, WireType.F32, null, cancellationToken));
        }

        return runs;
    }

    /// <summary>The same, where the undefended runs are there already.</summary>
    public static async Task<KeptQuality> CompareAsync(
        IReadOnlyList<ForcedRun> before, TrustedModel defended, IReadOnlyList<int[]> texts, WireType wire, Func<EmbeddingNoise?>? noise, CancellationToken cancellationToken)
    {
        var agreed = new List<DocumentTally>();
        var losses = new List<double>();
        foreach ((int[] text, ForcedRun plain) in texts.Zip(before))
        {
            ForcedRun after = await RunAsync(defended, text, wire, noise?.Invoke(), cancellationToken);
            losses.Add(after.Loss);
            agreed.Add(new DocumentTally(Enumerable.Range(0, text.Length - 1).Count(i => plain.Expected[i] == after.Expected[i]), text.Length - 1));
        }

        return new KeptQuality(agreed, losses);
    }
}

/// <summary>One sequence run.</summary>
/// <param name="View">What the worker saw.</param>
/// <param name="Expected">Likeliest token after each row.</param>
/// <param name="Loss">Nats over all tokens but the first.</param>
public sealed record ForcedRun(WorkerView View, int[] Expected, double Loss);
