using System.Runtime.CompilerServices;
using System.Text;
using Cleave.Gateway.Conversations;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Protocol;
using Cleave.Tokenization;

namespace Cleave.Gateway.Generation;

/// <summary>
/// One answer, from prompt ids to text pieces. <see cref="StreamAsync"/> is used once:
/// <list type="number">
/// <item>take a session; if an old one turns out to be lost before its first token, take another, once;</item>
/// <item>gather the tokens of each round trip;</item>
/// <item>turn them into text, watch for stop sequences, hand out what is certain;</item>
/// <item>give the session back, or close it when its work is no longer wanted.</item>
/// </list>
/// </summary>
internal sealed class Answer(ConversationPool pool, Tokenizer tokenizer, AnswerRequest request)
{
    private readonly StopText _stop = new(request.Stop);
    private readonly StreamingDetokenizer _detokenizer = new(tokenizer, showControl: false);
    private readonly List<AnswerToken> _tokens = []; // not handed out yet
    private readonly StringBuilder _text = new(); // likewise
    private LogProbabilities? _logProbabilities;
    private (long Up, long Down) _before;
    private IReadOnlyList<AcceptanceRate> _ratesBefore = [];

    /// <summary>Why it ended; valid once the stream has.</summary>
    public FinishReason FinishReason { get; private set; } = FinishReason.Length;

    /// <summary>Tokens generated, the end-of-turn token included.</summary>
    public int TokenCount { get; private set; }

    /// <summary>What it took; null before the stream has ended.</summary>
    public GenerationStatistics? Statistics { get; private set; }

    /// <summary>Round-trip time of its session.</summary>
    public double RttMs { get; private set; }

    /// <summary>The decoder's steps so far may be read from here while it runs.</summary>
    public TextGenerator? Generator { get; private set; }

    /// <summary>Frame bytes sent and received for this answer so far, its prompt included.</summary>
    public (long Up, long Down) Bytes => Generator?.Session.Middle is { } middle ? (middle.BytesUp - _before.Up, middle.BytesDown - _before.Down) : default;

    /// <summary>Guesses and right ones of this answer by drafter; valid once the stream has ended.</summary>
    public IReadOnlyList<(DraftSource Source, long Proposed, long Accepted)> Drafters { get; private set; } = [];

    /// <summary>The answer as it comes, one piece per round trip.</summary>
    /// <exception cref="GatewayBusyException">Too many requests wait.</exception>
    /// <exception cref="InferenceException">The prompt is too long, or an option out of range.</exception>
    /// <exception cref="WireException">The worker was lost or refuses.</exception>
    public async IAsyncEnumerable<AnswerPiece> StreamAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        (ConversationLease lease, IAsyncEnumerator<DecodedToken> tokens, bool any) = await StartAsync(cancellationToken);
        await using ConversationLease held = lease;
        bool ended = false;
        try
        {
            int step = 0;
            while (any)
            {
                DecodedToken token = tokens.Current;
                if (token.Step != step && _tokens.Count > 0 && Take() is { } piece)
                {
                    yield return piece;
                }

                step = token.Step;
                Add(token);
                if (_stop.Found)
                {
                    FinishReason = FinishReason.Stop;
                    break;
                }

                // The tokens of one round trip are ready together: wait only when there is nothing more to say.
                ValueTask<bool> next = tokens.MoveNextAsync();
                if (!next.IsCompleted && Take() is { } ready)
                {
                    yield return ready;
                }

                any = await next;
            }

            _text.Append(_stop.Append(_detokenizer.Flush())).Append(_stop.Flush());
            if (_stop.Found)
            {
                FinishReason = FinishReason.Stop;
            }

            ended = true;
            if (Take() is { } last)
            {
                yield return last;
            }
        }
        finally
        {
            // A caller that leaves early, or a failure: what the worker still has queued for us is dropped with the session,
            // unless it is a single step, which costs less than the prefix. After a whole answer it is a few guesses.
            await tokens.DisposeAsync();
            Statistics = lease.Generator.Statistics;
            Drafters = [.. (Statistics?.AcceptanceRates ?? [])
                .GroupBy(static rate => rate.Source, (source, rates) => (
                    source,
                    rates.Sum(static rate => rate.Proposed) - _ratesBefore.Where(rate => rate.Source == source).Sum(static rate => rate.Proposed),
                    rates.Sum(static rate => rate.Accepted) - _ratesBefore.Where(rate => rate.Source == source).Sum(static rate => rate.Accepted)))
                .Where(static drafter => drafter.Item2 > 0)];
            lease.Drop |= !ended && lease.Generator.Session.StepsInFlight > 1;
        }
    }

    /// <summary>Step 1: up to the first token, so that a session that was lost while idle is replaced before anything was said.</summary>
    private async Task<(ConversationLease Lease, IAsyncEnumerator<DecodedToken> Tokens, bool Any)> StartAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            ConversationLease lease = await pool.RentAsync(request.Prompt, cancellationToken);
            Generator = lease.Generator;
            _before = (Generator.Session.Middle.BytesUp, Generator.Session.Middle.BytesDown);
            _ratesBefore = Generator.Statistics?.AcceptanceRates ?? [];
            lease.Conversation.Events.Listener = request.Events;
            _logProbabilities = request.TopLogProbabilities is { } top ? new LogProbabilities(top, tokenizer.VocabularySize) : null;
            IAsyncEnumerator<DecodedToken> tokens = lease.Generator.GenerateAsync(request.Prompt, Options(), cancellationToken).GetAsyncEnumerator(cancellationToken);
            try
            {
                bool any = await tokens.MoveNextAsync();
                RttMs = lease.Generator.RttMs;
                return (lease, tokens, any);
            }
            catch (Exception exception)
            {
                await tokens.DisposeAsync();
                lease.Drop = exception is not InferenceException;
                await lease.DisposeAsync();
                if (lease.IsFresh || exception is not WireException)
                {
                    throw;
                }
            }
        }
    }

    private GenerationOptions Options()
    {
        var decoding = new DecodingOptions { MaxTokens = request.MaxTokens };
        return new GenerationOptions
        {
            Sampling = request.Sampling,
            Decoding = request.MaxRowsPerStep is { } rows ? decoding with { MaxRowsPerStep = rows } : decoding,
            Mask = request.Mask,
            Observer = _logProbabilities,
            PrefillProgress = request.PrefillProgress,
        };
    }

    private void Add(DecodedToken token)
    {
        TokenCount++;
        (double logProbability, TokenProbability[]? top) = _logProbabilities?.Take() ?? default;
        if (tokenizer.IsEndOfTurn(token.Token))
        {
            FinishReason = FinishReason.Stop;
            return;
        }

        string text = _detokenizer.Append(token.Token);
        _text.Append(_stop.Append(text));
        if (!_stop.Found || _text.Length > 0)
        {
            _tokens.Add(new AnswerToken(token.Token, text, token.Drafted, token.Step, logProbability, top));
        }
    }

    private AnswerPiece? Take()
    {
        if (_tokens.Count == 0 && _text.Length == 0)
        {
            return null;
        }

        var piece = new AnswerPiece(_text.ToString(), [.. _tokens]);
        _text.Clear();
        _tokens.Clear();
        return piece;
    }
}
