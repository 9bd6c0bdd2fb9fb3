using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Protocol;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Every decoder against sequential decoding over a worker process, token for token and bit for bit in the logits each token was
/// chosen from: greedy, sampled, and sampled with penalties; then, if asked for, once more while the link misbehaves.
/// </summary>
internal sealed class IdentityBattery(SplitSettings settings, IReadOnlyList<BenchPrompt> prompts, BenchSuite suite, Action<string> say)
{
    /// <summary>Enough of a round trip for pipelined frames to be on their way together.</summary>
    private static readonly BenchLink s_link = new(4, 1000, 1000);

    private static readonly (string Name, SamplingOptions Options)[] s_samplings =
    [
        ("greedy", new SamplingOptions()),
        ("T=0.7, top-p 0.9", new SamplingOptions { Temperature = 0.7, TopP = 0.9, Seed = 11 }),
        ("T=1.2, penalties", new SamplingOptions { Temperature = 1.2, RepetitionPenalty = 1.1, FrequencyPenalty = 0.3, PresencePenalty = 0.2, MinP = 0.02, Seed = 12 }),
    ];

    private readonly Dictionary<(int Prompt, int Sampling), Transcript> _sequential = [];

    /// <summary>
    /// Every prompt, whole and cut off after a quarter, a half and three quarters of its tokens, with every decoder and sampling; then, if asked for, a few
    /// with jitter of 50 ms, stalls of 2 s and the connection cut and resumed.
    /// </summary>
    public async Task<IReadOnlyList<IdentityResult>> RunAsync(CancellationToken cancellationToken)
    {
        var results = new List<IdentityResult>();
        await using (SplitHost host = await SplitHost.StartAsync(settings with { Wan = s_link.Options }, say, cancellationToken))
        {
            int[][] all = [.. prompts.SelectMany(prompt => Pieces(prompt.Ids(host.Model.Tokenizer)))];
            for (int sampling = 0; sampling < s_samplings.Length; sampling++)
            {
                foreach (string decoder in suite.IdentityOf.Prepend("sequential"))
                {
                    IdentityResult result = await CompareAsync(host, decoder, sampling, all, "quiet link", cancellationToken);
                    if (decoder != "sequential")
                    {
                        results.Add(result);
                    }
                }
            }
        }

        if (suite.BadLink)
        {
            results.AddRange(await RunBadLinkAsync(cancellationToken));
        }

        return results;
    }

    private static IEnumerable<int[]> Pieces(int[] ids) => Enumerable.Range(1, 4).Select(quarter => ids[..Math.Max(2, ids.Length * quarter / 4)]);

    private async Task<IReadOnlyList<IdentityResult>> RunBadLinkAsync(CancellationToken cancellationToken)
    {
        var wan = new WanOptions { Rtt = TimeSpan.FromMilliseconds(60), Jitter = TimeSpan.FromMilliseconds(50), UpBitsPerSecond = 1e8, DownBitsPerSecond = 1e8 };
        await using SplitHost host = await SplitHost.StartAsync(settings with { Wan = wan }, say, cancellationToken);
        int[][] some = [.. prompts.Chunk(Math.Max(1, prompts.Count / 6)).Select(chunk => chunk[0].Ids(host.Model.Tokenizer)).Take(6)];
        _sequential.Clear();
        await CompareAsync(host, "sequential", 0, some, "", cancellationToken);
        var results = new List<IdentityResult>();
        foreach (string decoder in suite.IdentityOf)
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task trouble = MakeTroubleAsync(host.Emulators, ended.Token);
            results.Add(await CompareAsync(host, decoder, 0, some, "jitter, stalls, cuts", cancellationToken));
            await ended.CancelAsync();
            await trouble;
        }

        return results;
    }

    /// <summary>By turns a stall of two seconds and a cut of a third of one, in the midst of whatever is on its way.</summary>
    private static async Task MakeTroubleAsync(IReadOnlyList<WanEmulator> wans, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await Task.Delay(700, cancellationToken);
                await Task.WhenAll(wans.Select(wan => wan.StallAsync(TimeSpan.FromSeconds(2), cancellationToken)));
                for (int i = 0; i < 3; i++)
                {
                    await Task.Delay(900, cancellationToken);
                    foreach (WanEmulator wan in wans)
                    {
                        wan.CutNow(TimeSpan.FromMilliseconds(300));
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The last prompt is done.
        }
    }

    /// <summary>Opens a session, again when the link was just down: what is put to the test is the session, once there is one.</summary>
    private static async Task<TextGenerator> OpenAsync(SplitHost host, string decoder, CancellationToken cancellationToken)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return await host.OpenAsync(decoder, cancellationToken, knownRttMs: s_link.RttMs);
            }
            catch (WireException) when (attempt < 20)
            {
                await Task.Delay(100, cancellationToken);
            }
        }
    }

    private async Task<IdentityResult> CompareAsync(
        SplitHost host, string decoder, int sampling, int[][] all, string link, CancellationToken cancellationToken)
    {
        int different = 0;
        long made = 0, proposed = 0, accepted = 0, trips = 0;
        say($"identity: {decoder}, {s_samplings[sampling].Name}{(link.Length > 0 ? ", " + link : "")}");
        for (int prompt = 0; prompt < all.Length; prompt++)
        {
            await using TextGenerator generator = await OpenAsync(host, decoder, cancellationToken);
            var transcript = new Transcript();
            var options = new GenerationOptions
            {
                Sampling = s_samplings[sampling].Options,
                Observer = transcript,

                // So short a link would make hardly any guess worth its row; a fixed threshold sends them.
                Decoding = new DecodingOptions { MaxTokens = suite.Tokens, StopAtEndOfTurn = false, Threshold = 0.02 },
            };
            await foreach (DecodedToken token in generator.GenerateAsync(all[prompt], options, cancellationToken))
            {
                transcript.Emitted.Add(token.Token);
            }

            GenerationStatistics statistics = generator.Statistics!;
            (made, proposed, accepted, trips) = (made + statistics.Tokens, proposed + statistics.Proposed, accepted + statistics.Accepted, trips + statistics.RoundTrips);
            if (decoder == "sequential")
            {
                _sequential[(prompt, sampling)] = transcript;
            }

            different += _sequential[(prompt, sampling)].Equals(transcript) ? 0 : 1;
        }

        return new IdentityResult(decoder, s_samplings[sampling].Name, link, all.Length, made, proposed, accepted, (double)made / Math.Max(1, trips), different);
    }

    /// <summary>The tokens, and a digest of the bits of the logits behind each.</summary>
    private sealed class Transcript : ITokenObserver
    {
        private readonly List<byte> _digests = [];
        private readonly List<int> _chosen = [];

        public List<int> Emitted { get; } = [];

        public void OnToken(int token, ReadOnlySpan<float> logits)
        {
            _chosen.Add(token);
            _digests.AddRange(SHA256.HashData(MemoryMarshal.AsBytes(logits)));
        }

        public bool Equals(Transcript other) =>
            Emitted.SequenceEqual(other.Emitted) && _chosen.SequenceEqual(other._chosen) && _digests.SequenceEqual(other._digests);
    }
}
