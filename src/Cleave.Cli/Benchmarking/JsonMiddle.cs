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
    private (Task<HttpResponseMessage> Response, long SentAt, double CodecMs)? _pending;

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
        _pending = (_client.PostAsync(_address, new ByteArrayContent(body), cancellationToken), Stopwatch.GetTimestamp(), codecMs);
        return default;
    }

    public async ValueTask<MiddleReply> ReceiveAsync(CancellationToken cancellationToken)
    {
        (Task<HttpResponseMessage> response, long sentAt, double codecMs) = _pending!.Value;
        using HttpResponseMessage message = await response;
        byte[] body = await message.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancellationToken);
        double tripMs = Stopwatch.GetElapsedTime(sentAt).TotalMilliseconds;
        BytesDown += body.Length;
        long started = Stopwatch.GetTimestamp();
        JsonStep answer = JsonSerializer.Deserialize(body, ReportJson.Output.JsonStep)!;
        byte[] bytes = Convert.FromBase64String(answer.Hidden);
        var hidden = new float[bytes.Length / sizeof(float)];
        Buffer.BlockCopy(bytes, 0, hidden, 0, bytes.Length);
        codecMs += Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        return new MiddleReply(answer.Ids, hidden, answer.ComputeMs, 0, codecMs, tripMs);
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
