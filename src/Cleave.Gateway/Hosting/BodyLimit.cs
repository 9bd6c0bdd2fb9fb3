using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Cleave.Gateway.Hosting;

/// <summary>
/// The limit of request bodies, and what becomes of a body that was refused. The server would close its connection at once; a client that is
/// still sending then finds it reset, and the refusal that says why thrown away. So what is left of the body is read and dropped, up to a
/// bound, after the answer has gone out. Clients that ask first (Expect: 100-continue), and HTTP/2, which ends one stream, need none of it.
/// </summary>
internal sealed class BodyLimit(GatewayOptions options, TimeProvider time) : IMiddleware
{
    /// <summary>Most bytes that are read only to be dropped.</summary>
    public const int DrainBytes = 32 << 20;

    private static readonly TimeSpan s_drainTime = TimeSpan.FromSeconds(30);

    /// <inheritdoc />
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (HttpProtocol.IsHttp2(context.Request.Protocol) || context.Request.Headers.ContainsKey("Expect")
            || context.Features.Get<IHttpMaxRequestBodySizeFeature>() is not { IsReadOnly: false } servers)
        {
            await next(context);
            return;
        }

        // 1. Ours in place of the server's.
        servers.MaxRequestBodySize = null;
        Stream body = context.Request.Body;
        context.Request.Body = new LimitedBody(body, options.MaxRequestBytes, context.Request.ContentLength);
        await next(context);

        // 2. A refusal may have left some of the body behind.
        if (context.Response.StatusCode >= 400)
        {
            await context.Response.CompleteAsync();
            await DrainAsync(context, body);
        }
    }

    private async Task DrainAsync(HttpContext context, Stream body)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(64 << 10);
        using var late = new CancellationTokenSource(s_drainTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, context.RequestAborted);
        try
        {
            int left = DrainBytes;
            for (int count = 1; count > 0 && left > 0; left -= count)
            {
                count = await body.ReadAsync(buffer, either.Token);
            }

            if (left <= 0)
            {
                context.Abort();
            }
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            context.Abort();
        }
        catch (Exception over) when (over is OperationCanceledException or IOException)
        {
            // The client is gone, or sent what is no body.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>A body that ends with status 413 where the limit is.</summary>
    private sealed class LimitedBody(Stream inner, long limit, long? announced) : Stream
    {
        private long _read;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (announced > limit)
            {
                throw TooLarge();
            }

            int count = await inner.ReadAsync(buffer, cancellationToken);
            return (_read += count) <= limit ? count : throw TooLarge();
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Bodies are read asynchronously.");

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        private static BadHttpRequestException TooLarge() => new("Request body too large.", StatusCodes.Status413PayloadTooLarge);
    }
}
