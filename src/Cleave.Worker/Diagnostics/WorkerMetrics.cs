using System.Diagnostics.Metrics;
using Cleave.Protocol;

namespace Cleave.Worker.Diagnostics;

/// <summary>Counters of a worker under the meter "Cleave.Worker". No content, no session ids.</summary>
internal sealed class WorkerMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Cleave.Worker";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _rows;
    private readonly Histogram<int> _rowsPerPass;
    private readonly Histogram<int> _framesPerPass;
    private readonly Counter<long> _refusals;
    private readonly Counter<long> _closed;
    private readonly Counter<long> _resumed;
    private readonly Counter<long> _wrongTokens;
    private readonly Counter<long> _moves;

    public WorkerMetrics()
    {
        _rows = _meter.CreateCounter<long>("cleave.worker.rows", "{row}", "Rows computed");
        _rowsPerPass = _meter.CreateHistogram<int>("cleave.worker.pass.rows", "{row}", "Rows per forward pass");
        _framesPerPass = _meter.CreateHistogram<int>("cleave.worker.pass.frames", "{frame}", "Frames per forward pass");
        _refusals = _meter.CreateCounter<long>("cleave.worker.refusals", "{frame}", "Frames and streams refused, by code");
        _closed = _meter.CreateCounter<long>("cleave.worker.sessions.closed", "{session}", "Sessions ended, by code");
        _resumed = _meter.CreateCounter<long>("cleave.worker.sessions.resumed", "{session}", "Sessions resumed");
        _wrongTokens = _meter.CreateCounter<long>("cleave.worker.wrong_tokens", "{call}", "Calls without a valid token");
        _moves = _meter.CreateCounter<long>("cleave.worker.connections.moved", "{connection}", "Connections carried on over another TCP connection, or not, by outcome");
    }

    public void Observe(Func<int> sessions, Func<int> queuedRows, Func<int> kvTokens, Func<long> deviceBytes)
    {
        _meter.CreateObservableGauge("cleave.worker.sessions", sessions, "{session}", "Open sessions");
        _meter.CreateObservableGauge("cleave.worker.queued_rows", queuedRows, "{row}", "Rows waiting");
        _meter.CreateObservableGauge("cleave.worker.kv_tokens", kvTokens, "{token}", "KV tokens in use");
        _meter.CreateObservableGauge("cleave.worker.device_bytes", deviceBytes, "By", "Device memory allocated for weights, caches and activations");
    }

    public void PassDone(int rows, int frames)
    {
        _rows.Add(rows);
        _rowsPerPass.Record(rows);
        _framesPerPass.Record(frames);
    }

    public void Refused(WireErrorCode code) => _refusals.Add(1, new KeyValuePair<string, object?>("code", code.ToString()));

    public void SessionClosed(string reason) => _closed.Add(1, new KeyValuePair<string, object?>("code", reason));

    public void SessionResumed() => _resumed.Add(1);

    public void WrongToken() => _wrongTokens.Add(1);

    public void ConnectionMoved() => _moves.Add(1, new KeyValuePair<string, object?>("outcome", "moved"));

    public void MoveRefused() => _moves.Add(1, new KeyValuePair<string, object?>("outcome", "refused"));

    public void Dispose() => _meter.Dispose();
}
