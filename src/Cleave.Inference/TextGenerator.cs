using System.Runtime.CompilerServices;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;

namespace Cleave.Inference;

/// <summary>Prompt ids in, token stream out, over one session. A prompt that continues what the session holds sends only what is new.</summary>
public sealed class TextGenerator : IAsyncDisposable
{
    private readonly SplitSession _session;
    private readonly IDrafter _drafter;
    private readonly AcceptanceModel _acceptance = new();
    private StepCosts? _costs;

    /// <summary>Takes ownership of session and drafter.</summary>
    /// <param name="session">The conversation.</param>
    /// <param name="drafter">Guesses.</param>
    /// <param name="knownRttMs">Round-trip time where another session to the same worker has measured it; null measures.</param>
    public TextGenerator(SplitSession session, IDrafter drafter, double? knownRttMs = null)
    {
        _session = session;
        _drafter = drafter;
        if (knownRttMs is { } rttMs)
        {
            RttMs = rttMs;
            _costs = FirstCosts(rttMs);
        }
    }

    /// <summary>The session.</summary>
    public SplitSession Session => _session;

    /// <summary>The drafter.</summary>
    public IDrafter Drafter => _drafter;

    /// <summary>Round-trip time measured by ping before the first generation, in milliseconds.</summary>
    public double RttMs { get; private set; }

    /// <summary>Decoding round trips of the generation under way, or of the last one; those of tokens already handed out are in it.</summary>
    public IReadOnlyList<StepRecord> Steps { get; private set; } = [];

    /// <summary>What the last generation took; complete once its stream has ended.</summary>
    public GenerationStatistics? Statistics { get; private set; }

    /// <summary>Generates after <paramref name="prompt"/> (BOS included where the model wants it).</summary>
    /// <exception cref="InferenceException">The prompt is empty, too long, or an option is out of range.</exception>
    public async IAsyncEnumerable<DecodedToken> GenerateAsync(
        ReadOnlyMemory<int> prompt, GenerationOptions options, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // 1. Check, and find what the session already holds. The last prompt token always starts the first step.
        Check(prompt, options);
        long started = _session.Clock.GetTimestamp();
        await PrepareAsync(cancellationToken);
        int reused = CommonPrefix(prompt.Span[..^1], _session.CommittedTokens);
        SessionTimings before = _session.Timings.Snapshot();
        (long up, long down, int frames, long rows) = (_session.Middle.BytesUp, _session.Middle.BytesDown, _session.FramesSent, _session.RowsSent);
        await _session.TruncateAsync(reused, cancellationToken);

        // 2. Send the rest of the prompt.
        await _session.PrefillAsync(prompt[reused..^1], options.Decoding.PrefillChunkRows, options.PrefillProgress, cancellationToken);

        // 3. Decode.
        var history = new TokenHistory();
        history.AddPrompt(prompt.Span);
        var sampler = new Sampler(options.Sampling, _session.Model.Tokenizer.VocabularySize);
        var decoder = new TreeDecoder(_session, _drafter, sampler, history, _costs!, _acceptance, options.Decoding, options.Mask, options.Observer);
        Steps = decoder.Steps;
        double firstMs = 0;
        double lastMs = 0;
        int tokens = 0;
        try
        {
            await foreach (DecodedToken token in decoder.DecodeAsync(prompt, cancellationToken))
            {
                lastMs = _session.Clock.GetElapsedTime(started).TotalMilliseconds;
                firstMs = tokens++ == 0 ? lastMs : firstMs;
                yield return token;
            }
        }
        finally
        {
            Statistics = new GenerationStatistics
            {
                Decoder = _drafter.Name,
                PromptTokens = prompt.Length,
                ReusedTokens = reused,
                Tokens = tokens,
                RoundTrips = decoder.RoundTrips,
                Frames = _session.FramesSent - frames,
                RowsSent = _session.RowsSent - rows,
                NodesDrafted = decoder.NodesDrafted,
                TimeToFirstTokenMs = firstMs,
                DecodeMs = lastMs - firstMs,
                Proposed = decoder.Proposed,
                Accepted = decoder.Accepted,
                BytesUp = _session.Middle.BytesUp - up,
                BytesDown = _session.Middle.BytesDown - down,
                Timings = _session.Timings.Since(before),
                Steps = decoder.Steps,
                Costs = CostEstimates.Of(_costs!),
                AcceptanceRates = _acceptance.Report(),
            };
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        _drafter.Dispose();
        await _session.DisposeAsync();
    }

    private void Check(ReadOnlyMemory<int> prompt, GenerationOptions options)
    {
        if (prompt.IsEmpty)
        {
            throw new InferenceException("the prompt is empty and the model has no BOS token; give it at least one token");
        }

        int room = Math.Min(_session.MaxTokens, _session.Model.Config.ContextLength);
        if (prompt.Length > room)
        {
            throw new InferenceException($"the prompt has {prompt.Length} tokens; this session holds {room} (the model's context is {_session.Model.Config.ContextLength})");
        }

        if (options.Sampling.Validate() is { } problem)
        {
            throw new InferenceException(problem);
        }

        foreach (int token in prompt.Span)
        {
            if ((uint)token >= (uint)_session.Model.Config.VocabularySize)
            {
                throw new InferenceException($"the prompt holds token {token}; the model's vocabulary has {_session.Model.Config.VocabularySize}");
            }
        }
    }

    /// <summary>
    /// Measures the round trip once, if it is not known: the median of five pings, the cost model's first guess. Called by the first generation
    /// unless it was called before, which keeps the pings out of the time to the first token.
    /// </summary>
    public async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        if (_costs is not null)
        {
            return;
        }

        await _session.DrainAsync(cancellationToken);
        var pings = new double[5];
        for (int i = 0; i < pings.Length; i++)
        {
            pings[i] = await _session.Middle.PingAsync(cancellationToken);
        }

        Array.Sort(pings);
        RttMs = pings[2];
        _costs = FirstCosts(RttMs);
    }

    /// <summary>Rows in float32 on the wire: the most a row may be, where the wire's type is the middle's own business.</summary>
    private StepCosts FirstCosts(double rttMs) => new(rttMs, sizeof(float) * _session.Model.Config.HiddenSize);

    private static int CommonPrefix(ReadOnlySpan<int> prompt, IReadOnlyList<int> committed)
    {
        int length = 0;
        while (length < prompt.Length && length < committed.Count && prompt[length] == committed[length])
        {
            length++;
        }

        return length;
    }
}
