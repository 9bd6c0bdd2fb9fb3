using System.Diagnostics;
using System.Diagnostics.Metrics;
using Cleave.Gateway.Hosting;
using Cleave.Inference;
using Cleave.Inference.Sessions;

namespace Cleave.Gateway.Telemetry;

/// <summary>Metrics and traces of answers: counts, times and bytes, never content.</summary>
internal sealed class GatewayMeter : IDisposable
{
    /// <summary>Name of the meter and of the trace source.</summary>
    public const string Name = "Cleave.Gateway";

    private static readonly ActivitySource Source = new(Name);
    private readonly Meter _meter;
    private readonly Counter<long> _answers;
    private readonly Counter<long> _promptTokens;
    private readonly Counter<long> _reusedTokens;
    private readonly Counter<long> _outputTokens;
    private readonly Counter<long> _roundTrips;
    private readonly Counter<long> _proposed;
    private readonly Counter<long> _accepted;
    private readonly Counter<long> _bytes;
    private readonly Counter<long> _linkEvents;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _tokensPerSecond;
    private readonly Histogram<double> _tokensPerRoundTrip;
    private readonly UpDownCounter<int> _running;

    public GatewayMeter(IMeterFactory factory, ServedModel model)
    {
        _meter = factory.Create(Name);
        _answers = _meter.CreateCounter<long>("cleave.answers", description: "Answers by outcome");
        _promptTokens = _meter.CreateCounter<long>("cleave.prompt.tokens", description: "Prompt tokens");
        _reusedTokens = _meter.CreateCounter<long>("cleave.prompt.tokens.reused", description: "Prompt tokens a session still held");
        _outputTokens = _meter.CreateCounter<long>("cleave.output.tokens", description: "Tokens generated");
        _roundTrips = _meter.CreateCounter<long>("cleave.round_trips", description: "Decoding round trips");
        _proposed = _meter.CreateCounter<long>("cleave.draft.rows", description: "Draft rows sent");
        _accepted = _meter.CreateCounter<long>("cleave.draft.rows.accepted", description: "Draft rows whose token was right");
        _bytes = _meter.CreateCounter<long>("cleave.wire.bytes", "By", "Frame bytes by direction");
        _linkEvents = _meter.CreateCounter<long>("cleave.link.events", description: "Losses and recoveries of the link by kind");
        _firstToken = _meter.CreateHistogram<double>("cleave.first_token.duration", "s", "From the request to the first token");
        _tokensPerSecond = _meter.CreateHistogram<double>("cleave.tokens_per_second", description: "First token to last");
        _tokensPerRoundTrip = _meter.CreateHistogram<double>("cleave.tokens_per_round_trip", description: "Tokens per decoding round trip");
        _running = _meter.CreateUpDownCounter<int>("cleave.answers.running", description: "Answers under way");
        _meter.CreateObservableGauge("cleave.conversations", () => model.Pool.Counts.Open, description: "Sessions open");
        _meter.CreateObservableGauge("cleave.conversations.idle", () => model.Pool.Counts.Idle, description: "Sessions idle");
        _meter.CreateObservableGauge("cleave.requests.waiting", () => model.Pool.Counts.Waiting, description: "Requests waiting for a session");
        _meter.CreateObservableGauge("cleave.rtt", () => (model.Pool.RttMs ?? 0) / 1000, "s", "Round-trip time by ping");
    }

    /// <summary>Starts an answer's measurement; one disposed without success counts as failed or cancelled.</summary>
    public Measurement Begin()
    {
        _running.Add(1);
        return new Measurement(this, Source.StartActivity("cleave.answer"));
    }

    /// <summary>Counts a loss or a recovery.</summary>
    public void Tell(SessionEvent happened) => _linkEvents.Add(1, new KeyValuePair<string, object?>("kind", happened.Kind.ToString()));

    /// <inheritdoc />
    public void Dispose() => _meter.Dispose();

    /// <summary>One answer.</summary>
    internal sealed class Measurement(GatewayMeter meter, Activity? activity) : IDisposable
    {
        private bool _succeeded;

        /// <summary>Records what it took.</summary>
        public void Succeeded(GenerationStatistics statistics)
        {
            _succeeded = true;
            meter._promptTokens.Add(statistics.PromptTokens);
            meter._reusedTokens.Add(statistics.ReusedTokens);
            meter._outputTokens.Add(statistics.Tokens);
            meter._roundTrips.Add(statistics.RoundTrips);
            meter._proposed.Add(statistics.Proposed);
            meter._accepted.Add(statistics.Accepted);
            meter._bytes.Add(statistics.BytesUp, new KeyValuePair<string, object?>("direction", "up"));
            meter._bytes.Add(statistics.BytesDown, new KeyValuePair<string, object?>("direction", "down"));
            meter._firstToken.Record(statistics.TimeToFirstTokenMs / 1000);
            meter._tokensPerRoundTrip.Record(statistics.TokensPerRoundTrip);
            if (statistics.DecodeMs > 0)
            {
                meter._tokensPerSecond.Record(statistics.TokensPerSecond);
            }

            activity?.SetTag("cleave.decoder", statistics.Decoder);
            activity?.SetTag("cleave.prompt_tokens", statistics.PromptTokens);
            activity?.SetTag("cleave.reused_tokens", statistics.ReusedTokens);
            activity?.SetTag("cleave.output_tokens", statistics.Tokens);
            activity?.SetTag("cleave.round_trips", statistics.RoundTrips);
            activity?.SetTag("cleave.time_to_first_token_ms", statistics.TimeToFirstTokenMs);
            activity?.SetTag("cleave.network_ms", statistics.Timings.NetworkMs);
            activity?.SetTag("cleave.head_ms", statistics.Timings.HeadMs);
            activity?.SetTag("cleave.middle_ms", statistics.Timings.MiddleMs);
            activity?.SetTag("cleave.tail_ms", statistics.Timings.TailMs);
        }

        /// <inheritdoc />
        public void Dispose()
        {
            meter._running.Add(-1);
            meter._answers.Add(1, new KeyValuePair<string, object?>("outcome", _succeeded ? "ok" : "ended_early"));
            activity?.SetStatus(_succeeded ? ActivityStatusCode.Ok : ActivityStatusCode.Error);
            activity?.Dispose();
        }
    }
}
