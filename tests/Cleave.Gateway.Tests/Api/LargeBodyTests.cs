using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Cleave.Gateway.Hosting;

namespace Cleave.Gateway.Tests.Api;

/// <summary>Bodies beyond the limit from a client that reads nothing before it has sent everything.</summary>
public sealed class LargeBodyTests(SplitGateway fixture) : IClassFixture<SplitGateway>
{
    private static readonly byte[] s_block = Encoding.ASCII.GetBytes(new string('a', 64 << 10));

    [Theory]
    [InlineData(false, "/v1/chat/completions", 413, "request_too_large")]
    [InlineData(true, "/v1/chat/completions", 413, "request_too_large")]
    [InlineData(false, "/v1/nowhere", 404, "unknown_url")]
    [InlineData(true, "/v1/nowhere", 404, "unknown_url")]
    public async Task The_refusal_is_there_when_all_has_been_sent(bool isChunked, string path, int status, string code)
    {
        // More than the buffers of both ends hold: a server that stopped reading would leave it stuck, one that closed would reset it.
        using TcpClient client = await ConnectAsync();
        await SendAsync(client.GetStream(), path, 24 << 20, isChunked);
        string answer = await ReadUntilAsync(client.GetStream(), code);
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);

        // All of it was taken, so the connection serves on.
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"GET /health HTTP/1.1\r\nHost: {fixture.Gateway.Address.Authority}\r\n\r\n"), TestContext.Current.CancellationToken);
        Assert.StartsWith("HTTP/1.1 200 ", await ReadUntilAsync(client.GetStream(), "ok"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_without_end_is_not_read_without_end(bool isChunked)
    {
        using TcpClient client = await ConnectAsync();
        IOException closed = await Assert.ThrowsAnyAsync<IOException>(() => SendAsync(client.GetStream(), "/v1/chat/completions", 4L * BodyLimit.DrainBytes, isChunked));
        Assert.IsType<SocketException>(closed.InnerException);
    }

    private async Task<TcpClient> ConnectAsync()
    {
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(fixture.Gateway.Address.Host, fixture.Gateway.Address.Port, TestContext.Current.CancellationToken);
        return client;
    }

    private async Task SendAsync(NetworkStream stream, string path, long bytes, bool isChunked)
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        string length = isChunked ? "Transfer-Encoding: chunked" : string.Create(CultureInfo.InvariantCulture, $"Content-Length: {bytes}");
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: {fixture.Gateway.Address.Authority}\r\nContent-Type: application/json\r\n{length}\r\n\r\n"), cancellationToken);
        for (long sent = 0; sent < bytes; sent += s_block.Length)
        {
            if (isChunked)
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"{s_block.Length:x}\r\n"), cancellationToken);
            }

            await stream.WriteAsync(s_block, cancellationToken);
            if (isChunked)
            {
                await stream.WriteAsync("\r\n"u8.ToArray(), cancellationToken);
            }
        }

        if (isChunked)
        {
            await stream.WriteAsync("0\r\n\r\n"u8.ToArray(), cancellationToken);
        }
    }

    // An answer whose text holds a word, whole: ours are chunked.
    private static async Task<string> ReadUntilAsync(NetworkStream stream, string word)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (!(text.ToString() is var so && so.Contains(word, StringComparison.Ordinal) && so.EndsWith("0\r\n\r\n", StringComparison.Ordinal)))
        {
            int count = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
            Assert.True(count > 0, $"the connection ended behind '{text}'");
            text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }

        return text.ToString();
    }
}
