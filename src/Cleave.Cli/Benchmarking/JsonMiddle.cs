using System.Diagnostics;
using System.Text.Json;
using Cleave.Cli.Reports;
using Cleave.Engine;
using Cleave.Inference.Sessions;

namespace Cleave.Cli.Benchmarking;

/// <summary>The naive client of the optimisation ladder: a request per step to a <see cref="JsonStepServer"/>.</summary>
internal sealed class JsonMiddle : IMiddle
{
    private readonly HttpClient _client;
    private readonly Uri _address;
    private readonly Queue<(Task<(byte[] Body, double TripMs)> Answer, double CodecMs)> _pending = new();

    /// <param name="port">The server's port, or the emulator's before it.</param>
    /// <param name="keepConnection">False opens a connection for every step.</param>
    public JsonMiddle(int port, bool keepConnection)
    {
        _address = new Uri($"http://127.0.0.1:{port}/step");
        _client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        _client.DefaultRequestHeaders.ConnectionClose = !keepConnection;
    }

    public int MaxRowsPerStep => 512;

    public int MaxStepsInFlight => 1;

    public long BytesUp { get; private set; }

    public long BytesDown { get; private set; }

    public string KernelFingerprint => "";

    public ValueTask SubmitAsync(ReadOnlyMemory<ulong> keep, ReadOnlyMemory<TreeRow> rows, ReadOnlyMemory<float> hidden, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        byte[] bytes = new byte[hidden.Length * sizeof(float)];
        Buffer.BlockCopy(hidden.ToArray(), 0, bytes, 0, bytes.Length);
        TreeRow[] all = rows.ToArray();
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(
            new JsonStep([.. all.Select(static r => r.Id)], [.. all.Select(static r => r.ParentId)], keep.ToArray(), Convert.ToBase64String(bytes), 0),
            ReportJson.Output.JsonStep);
        BytesUp += body.Length;
        double codecMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        _pending.Enqueue((PostAsync(_pending.LastOrDefault().Answer ?? Task.CompletedTask, body, cancellationToken), codecMs));
        return default;
    }

    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        (Task<(byte[] Body, double TripMs)> answering, double codecMs) = _pending.Dequeue();
        (byte[] body, double tripMs) = await answering;
        BytesDown += body.Length;
        long started = Stopwatch.GetTimestamp();
        JsonStep answer = JsonSerializer.Deserialize(body, ReportJson.Output.JsonStep)!;
        byte[] bytes = Convert.FromBase64String(answer.Hidden);
        var hidden = new float[bytes.Length / sizeof(float)];
        Buffer.BlockCopy(bytes, 0, hidden, 0, bytes.Length);
        codecMs += Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new MiddleReply(answer.Ids, hidden, answer.ComputeMs, 0, codecMs, tripMs);
    }

    /// <summary>A request, after the answer to the one before: naive clients do not overlap them.</summary>
    private async Task<(byte[] Body, double TripMs)> PostAsync(Task before, byte[] body, CancellationToken cancellationToken)
    {
        await before;
        long started = Stopwatch.GetTimestamp();
        using HttpResponseMessage message = await _client.PostAsync(_address, new ByteArrayContent(body), cancellationToken);
        byte[] answer = await message.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancellationToken);
        return (answer, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    public ValueTask TruncateAsync(ReadOnlyMemory<ulong> keep, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("the ladder's naive client answers one prompt and no more");

    public ValueTask<double> PingAsync(CancellationToken cancellationToken) => ValueTask.FromResult(0.0);

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }
}
