using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;

namespace Cleave.Inference.Tests;

/// <summary>Sessions that share the passes of head and tail: the same tokens and logits as alone, and nobody harmed by a neighbour.</summary>
public sealed class SharedPassTests
{
    private static readonly SamplingOptions[] s_samplings =
    [
        new(),
        new() { Temperature = 0.7, TopP = 0.9, Seed = 11 },
        new() { Temperature = 1.2, RepetitionPenalty = 1.1, PresencePenalty = 0.2, Seed = 12 },
    ];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sessions_at_once_get_the_tokens_and_logits_of_each_alone(bool observed)
    {
        using TrustedModel model = DemoModel.Load(Cut.Default);
        (int[] Tokens, float[] Logits)[] alone = new (int[], float[])[9];
        for (int i = 0; i < alone.Length; i++)
        {
            alone[i] = await RunAsync(model, i, observed);
        }

        (int[] Tokens, float[] Logits)[] together = await Task.WhenAll(Enumerable.Range(0, alone.Length).Select(i => Task.Run(() => RunAsync(model, i, observed))));
        for (int i = 0; i < alone.Length; i++)
        {
            Assert.Equal(alone[i].Tokens, together[i].Tokens);
            Assert.True(alone[i].Logits.AsSpan().SequenceEqual(together[i].Logits), "the tokens agree, the logits do not");
        }
    }

    [Fact]
    public async Task Jobs_that_wait_while_a_pass_runs_go_together_and_a_refused_one_fails_alone()
    {
        using var gate = new ComputeGate();
        var passes = new List<int[]>();
        var shared = new SharedPass<Job>(gate, gathers: false, jobs =>
        {
            passes.Add([.. jobs.Select(static job => job.Number)]);
            foreach (Job job in jobs.Where(static job => job.Number == 3))
            {
                job.Refusal = new InvalidOperationException("no room");
            }
        });
        Task[] tasks;
        using var cancelled = new CancellationTokenSource();
        using (await gate.EnterAsync(CancellationToken.None))
        {
            tasks = [.. Enumerable.Range(1, 6).Select(number =>
                shared.RunAsync(new Job(number, alone: number == 5) { Clock = TimeProvider.System }, number == 2 ? cancelled.Token : CancellationToken.None).AsTask())];
            await cancelled.CancelAsync();
            Assert.All(tasks.Where((_, i) => i != 1), static task => Assert.False(task.IsCompleted));
        }

        await Task.WhenAny(Task.WhenAll(tasks), Task.Delay(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        Assert.True(tasks[1].IsCanceled);
        Assert.Equal("no room", (await Assert.ThrowsAsync<InvalidOperationException>(() => tasks[2])).Message);
        Assert.All((int[])[0, 3, 4, 5], i => Assert.True(tasks[i].IsCompletedSuccessfully));
        Assert.Equal([[1, 3, 4], [5], [6]], passes);
    }

    [Fact]
    public void Alone_a_job_is_done_when_the_call_returns()
    {
        using var gate = new ComputeGate();
        int thread = 0;
        var shared = new SharedPass<Job>(gate, gathers: true, _ => thread = Environment.CurrentManagedThreadId);
        ValueTask task = shared.RunAsync(new Job(1, alone: false) { Clock = TimeProvider.System }, TestContext.Current.CancellationToken);
        Assert.True(task.IsCompletedSuccessfully);
        Assert.Equal(Environment.CurrentManagedThreadId, thread);
    }

    private static async Task<(int[] Tokens, float[] Logits)> RunAsync(TrustedModel model, int number, bool observed)
    {
        await using TextGenerator generator = new(DemoModel.LocalSession(model), DecoderCatalog.Create(number % 2 == 0 ? "sequential" : "suffix", new DrafterContext()));
        var recorder = new LogitRecorder();
        var options = new GenerationOptions
        {
            Sampling = s_samplings[number % s_samplings.Length],
            Observer = observed ? recorder : null,
            Decoding = new DecodingOptions { MaxTokens = 12, StopAtEndOfTurn = false, Threshold = 0.05 },
        };
        var tokens = new List<int>();
        await foreach (DecodedToken token in generator.GenerateAsync(DemoModel.GreedyCases[number].PromptIds, options, TestContext.Current.CancellationToken))
        {
            tokens.Add(token.Token);
        }

        return ([.. tokens], [.. recorder.Logits]);
    }

    private sealed class Job(int number, bool alone) : PassJob
    {
        public int Number => number;

        public override int RowCount => 1;

        public override bool RunsAlone => alone;
    }
}
