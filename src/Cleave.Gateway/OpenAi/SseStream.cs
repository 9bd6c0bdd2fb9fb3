using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.OpenAi;

/// <summary>Server-sent events: each a line "data: " and JSON, flushed at once.</summary>
internal sealed class SseStream(HttpResponse response) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <summary>True once the first event went out: from then on errors are events too.</summary>
    public bool Started { get; private set; }

    /// <summary>Sends an event.</summary>
    public async Task SendAsync<T>(T value, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken); // prompt progress is reported from the decoder's side
        try
        {
            Start();
            response.BodyWriter.Write("data: "u8);
            await JsonSerializer.SerializeAsync(response.BodyWriter, value, type, cancellationToken);
            response.BodyWriter.Write("\n\n"u8);
            await response.BodyWriter.FlushAsync(cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Sends the last event; nothing can follow.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        Start();
        response.BodyWriter.Write("data: [DONE]\n\n"u8);
        await response.BodyWriter.FlushAsync(cancellationToken);
    }

    /// <inheritdoc />
    public void Dispose() => _turn.Dispose();

    private void Start()
    {
        if (Started)
        {
            return;
        }

        Started = true;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache, no-store";
        response.Headers["X-Accel-Buffering"] = "no"; // reverse proxies must not gather events
    }
}
