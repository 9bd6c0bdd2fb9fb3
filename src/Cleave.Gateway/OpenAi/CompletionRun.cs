using System.Text;
using System.Text.Json;
using Cleave.Gateway.Generation;
using Cleave.Gateway.Hosting;
using Cleave.Gateway.Telemetry;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;
using Cleave.Inference.Sessions;
using Cleave.Protocol;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.OpenAi;

/// <summary>
/// Carries out one completion request: every prompt n times, one answer after another over the same session, so that the prompt is
/// sent once.
/// </summary>
internal sealed class CompletionRun(ServedModel model, GatewayMeter meter, WorkerWatch worker, SamplingFields common, ICompletionShape shape, HttpContext http) : IDisposable
{
    private readonly SseStream _events = new(http.Response);
    private int _completionTokens;
    private int _cachedTokens;

    /// <summary>Answers the request.</summary>
    /// <param name="prompts">Prompt ids.</param>
    /// <param name="maxTokens">Most tokens of an answer; null goes on to the end of the context.</param>
    /// <param name="topLogProbabilities">Most likely tokens to report, or null.</param>
    /// <param name="grammar">Grammar of the answers, or null.</param>
    public async Task RunAsync(IReadOnlyList<int[]> prompts, int? maxTokens, int? topLogProbabilities, ITokenMask? grammar)
    {
        CancellationToken cancellationToken = http.RequestAborted;
        http.Response.Headers["X-Cleave-Seed"] = common.Sampling.Seed.ToString();
        Check(prompts);
        SplitReport? report = null;
        try
        {
            for (int index = 0; index < prompts.Count * common.Choices; index++)
            {
                int[] prompt = prompts[index / common.Choices];
                int room = Math.Max(1, model.Backend.ContextTokens - prompt.Length + 1);
                var answer = new Answer(model.PoolFor(prompt), model.Tokenizer, new AnswerRequest
                {
                    Prompt = prompt,
                    Sampling = common.Sampling with { Choice = index % common.Choices },
                    MaxTokens = Math.Min(maxTokens ?? int.MaxValue, room),
                    Stop = common.Stop,
                    Mask = common.Mask(grammar),
                    TopLogProbabilities = topLogProbabilities,
                    Events = Tell,
                    PrefillProgress = common is { Stream: true, IncludeStatistics: true } ? new PromptProgress(done => SendProgress(done, prompt.Length - 1)) : null,
                });
                report = await AnswerAsync(answer, index, cancellationToken);
                worker.Succeeded();
            }

            int promptTokens = prompts.Sum(static prompt => prompt.Length);
            var usage = new Usage(promptTokens, _completionTokens, promptTokens + _completionTokens, new PromptDetails(_cachedTokens));
            if (!common.Stream)
            {
                http.Response.ContentType = "application/json; charset=utf-8";
                await shape.WriteAsync(http.Response.Body, usage, report, cancellationToken);
                return;
            }

            if (common.IncludeUsage)
            {
                await shape.SendAsideAsync(_events, usage, null, cancellationToken);
            }

            await _events.EndAsync(cancellationToken);
        }
        catch (Exception exception) when (_events.Started && !cancellationToken.IsCancellationRequested)
        {
            await EndWithAsync(exception);
            if (ApiFailures.From(exception) is null)
            {
                throw;
            }
        }
    }

    /// <inheritdoc />
    public void Dispose() => _events.Dispose();

    private void Check(IReadOnlyList<int[]> prompts)
    {
        foreach (int[] prompt in prompts)
        {
            if (prompt.Length > model.Backend.ContextTokens)
            {
                throw new ApiException(
                    400,
                    $"This model's maximum context length is {model.Backend.ContextTokens} tokens, and your prompt has {prompt.Length}. Please shorten it.",
                    "messages",
                    "context_length_exceeded");
            }
        }
    }

    private async Task<SplitReport?> AnswerAsync(Answer answer, int index, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        var tokens = new List<AnswerToken>();
        bool first = true;
        using GatewayMeter.Measurement measurement = meter.Begin();
        await foreach (AnswerPiece piece in answer.StreamAsync(cancellationToken))
        {
            if (common.Stream)
            {
                await shape.SendPieceAsync(_events, index, piece, first, Live(answer, piece), cancellationToken);
                first = false;
            }
            else
            {
                text.Append(piece.Text);
                tokens.AddRange(piece.Tokens);
            }
        }

        GenerationStatistics statistics = answer.Statistics!;
        measurement.Succeeded(statistics);
        _completionTokens += answer.TokenCount;
        _cachedTokens += index % common.Choices == 0 ? statistics.ReusedTokens : 0;
        string reason = answer.FinishReason == FinishReason.Stop ? "stop" : "length";
        SplitReport? report = common.IncludeStatistics ? new SplitReport { Answer = Whole(answer, statistics) } : null;
        if (!common.Stream)
        {
            shape.Add(index, text.ToString(), tokens, reason);
            return report;
        }

        if (first)
        {
            await shape.SendPieceAsync(_events, index, new AnswerPiece("", []), true, null, cancellationToken);
        }

        await shape.SendFinishAsync(_events, index, reason, report, cancellationToken);
        return null;
    }

    /// <summary>The stream has begun: the error is its last event, and the connection is cut so that no client takes it for an end.</summary>
    private async Task EndWithAsync(Exception exception)
    {
        if (exception is WireException wire)
        {
            worker.Report(wire); // before the client knows: who then asks for our health is told the same
        }

        ApiError error = ApiFailures.From(exception)?.Error ?? new ApiError("the server failed; its log says more", "server_error", null, "internal_error");
        await _events.SendAsync(new ApiErrorBody(error), ApiJson.Default.ApiErrorBody, CancellationToken.None);
        await Task.Delay(50, CancellationToken.None); // let it reach the client before the connection goes
        http.Abort();
    }

    // Not awaited: the decoder does not wait for a progress bar. Later events queue behind it.
    private void SendProgress(int done, int total) =>
        _ = shape.SendAsideAsync(_events, null, new SplitReport { Prefill = new PrefillReport(done, total) }, http.RequestAborted);

    private void Tell(SessionEvent happened)
    {
        meter.Tell(happened);
        if (common is { Stream: true, IncludeStatistics: true })
        {
            var report = new LinkReport(JsonNamingPolicy.SnakeCaseLower.ConvertName(happened.Kind.ToString()), happened.Message);
            _ = shape.SendAsideAsync(_events, null, new SplitReport { Link = report }, http.RequestAborted);
        }
    }

    private SplitReport? Live(Answer answer, AnswerPiece piece)
    {
        if (!common.IncludeStatistics)
        {
            return null;
        }

        int number = piece.Tokens.Count > 0 ? piece.Tokens[^1].Step : 0;
        StepReport? step = null;
        if (answer.Generator is { } generator && number > 0 && number <= generator.Steps.Count)
        {
            StepRecord record = generator.Steps[number - 1];
            step = new StepReport(number, record.Rows, record.Tokens, record.Milliseconds, answer.Bytes.Up, answer.Bytes.Down);
        }

        return new SplitReport { Tokens = [.. piece.Tokens.Select(static token => new TokenReport(token.Text, token.Drafted))], Step = step };
    }

    private AnswerReport Whole(Answer answer, GenerationStatistics statistics) => new()
    {
        Seed = common.Sampling.Seed.ToString(),
        Decoder = statistics.Decoder,
        RttMs = answer.RttMs,
        Drafters = [.. answer.Drafters.Select(static drafter => new DrafterReport(drafter.Source.ToString().ToLowerInvariant(), drafter.Proposed, drafter.Accepted))],
        PromptTokens = statistics.PromptTokens,
        ReusedTokens = statistics.ReusedTokens,
        Tokens = statistics.Tokens,
        RoundTrips = statistics.RoundTrips,
        TokensPerRoundTrip = statistics.TokensPerRoundTrip,
        TokensPerSecond = statistics.TokensPerSecond,
        TimeToFirstTokenMs = statistics.TimeToFirstTokenMs,
        Proposed = statistics.Proposed,
        Accepted = statistics.Accepted,
        BytesUp = statistics.BytesUp,
        BytesDown = statistics.BytesDown,
        TimingMs = new TimingReport(
            statistics.Timings.NetworkMs, statistics.Timings.HeadMs, statistics.Timings.MiddleMs, statistics.Timings.TailMs, statistics.Timings.DraftMs, statistics.Timings.CodecMs),
    };
}
