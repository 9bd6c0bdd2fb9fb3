using System.Net;
using System.Net.Sockets;
using System.Text;
using Cleave.Gateway.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace Cleave.Gateway.Tests.Api;

/// <summary>Names, origins and keys: what other sites and other machines can do.</summary>
public sealed class SecurityTests : IAsyncLifetime
{
    private const string Key = "a-key-of-at-least-16-characters";
    private TestGateway _open = null!;
    private TestGateway _keyed = null!;

    public async ValueTask InitializeAsync()
    {
        _open = await TestGateway.StartAsync(null, sessions: 2);
        _keyed = await TestGateway.StartAsync(null, new() { ["ApiKey"] = Key, ["AllowedHosts:0"] = "chat.example.org", ["AllowedOrigins:0"] = "https://chat.example.org" }, sessions: 2);
    }

    public async ValueTask DisposeAsync()
    {
        await _open.DisposeAsync();
        await _keyed.DisposeAsync();
    }

    [Theory]
    [InlineData("evil.example", 421)]
    [InlineData("localhost.evil.example", 421)]
    [InlineData("10.1.2.3", 421)]
    [InlineData("localhost", 200)]
    [InlineData("127.0.0.1", 200)]
    [InlineData("[::1]", 200)]
    public async Task Only_our_own_names_are_answered(string host, int expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Host = $"{host}:{_open.Address.Port}";
        using HttpResponseMessage response = await _open.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(expected, (int)response.StatusCode);
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("null")]
    [InlineData("http://localhost:1")]
    [InlineData("https://127.0.0.1")]
    public async Task Other_sites_pages_are_refused(string origin)
    {
        foreach (HttpMethod method in (HttpMethod[])[HttpMethod.Get, HttpMethod.Options])
        {
            using var request = new HttpRequestMessage(method, "/v1/models");
            request.Headers.Add("Origin", origin);
            request.Headers.Add("Access-Control-Request-Method", "POST");
            using HttpResponseMessage response = await _open.Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
            Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
        }
    }

    [Fact]
    public async Task Our_own_page_and_named_origins_are_let_in()
    {
        using var own = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        own.Headers.Add("Origin", _open.Address.GetLeftPart(UriPartial.Authority));
        Assert.Equal(HttpStatusCode.OK, (await _open.Client.SendAsync(own, TestContext.Current.CancellationToken)).StatusCode);

        using var image = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        image.Headers.Add("Sec-Fetch-Site", "cross-site");
        image.Headers.Add("Sec-Fetch-Mode", "no-cors");
        Assert.Equal(HttpStatusCode.Forbidden, (await _open.Client.SendAsync(image, TestContext.Current.CancellationToken)).StatusCode);

        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/v1/chat/completions");
        preflight.Headers.Add("Origin", "https://chat.example.org");
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        HttpResponseMessage allowed = await _keyed.Client.SendAsync(preflight, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, allowed.StatusCode);
        Assert.Equal("https://chat.example.org", allowed.Headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Fact]
    public async Task The_key_guards_everything_but_the_page_and_health()
    {
        foreach (string path in (string[])["/v1/models", "/metrics", "/cleave/status", "/V1/models", "/v1/chat/completions"])
        {
            foreach (string? given in (string?[])[null, "Bearer wrong", "Basic " + Key, "Bearer"])
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, path);
                if (given is not null)
                {
                    request.Headers.TryAddWithoutValidation("Authorization", given);
                }

                using HttpResponseMessage response = await _keyed.Client.SendAsync(request, TestContext.Current.CancellationToken);
                Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
                Assert.Contains("invalid_api_key", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
            }
        }

        foreach (string path in (string[])["/", "/app.js", "/health"])
        {
            Assert.Equal(HttpStatusCode.OK, (await _keyed.Client.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);
        }

        using var right = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        right.Headers.Add("Authorization", "Bearer " + Key);
        Assert.Equal(HttpStatusCode.OK, (await _keyed.Client.SendAsync(right, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task The_page_may_load_and_call_nothing_but_this_server()
    {
        using HttpResponseMessage response = await _open.Client.GetAsync("/", TestContext.Current.CancellationToken);
        string policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self';", policy, StringComparison.Ordinal);
        Assert.Contains("connect-src 'self'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("http", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        foreach (string part in (string[])["/", "/app.js", "/api.js", "/markdown.js", "/panel.js", "/store.js", "/app.css", "/icon.svg"])
        {
            string text = await _open.Client.GetStringAsync(part, TestContext.Current.CancellationToken);
            Assert.DoesNotContain("innerHTML", text, StringComparison.Ordinal);
            Assert.DoesNotMatch("https?://(?!www\\.w3\\.org/2000/svg)", text);
        }

        using var again = new HttpRequestMessage(HttpMethod.Get, "/app.js");
        using HttpResponseMessage first = await _open.Client.GetAsync("/app.js", TestContext.Current.CancellationToken);
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await _open.Client.SendAsync(again, TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task Requests_that_are_no_http_do_no_harm()
    {
        foreach (string text in (string[])["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", $"GET / HTTP/1.1\r\nHost: localhost\r\nX: {new string('a', 40_000)}\r\n\r\n"])
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, _open.Address.Port, TestContext.Current.CancellationToken);
            using NetworkStream stream = socket.GetStream();
            var answer = new StringBuilder();
            try
            {
                // The server may answer, or cut the connection as soon as it has seen enough.
                await stream.WriteAsync(Encoding.ASCII.GetBytes(text), TestContext.Current.CancellationToken);
                socket.Client.Shutdown(SocketShutdown.Send);
                var buffer = new byte[4096];
                while (await stream.ReadAsync(buffer, TestContext.Current.CancellationToken) is > 0 and int count)
                {
                    answer.Append(Encoding.ASCII.GetString(buffer, 0, count));
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException)
            {
            }

            Assert.DoesNotContain("HTTP/1.1 200", answer.ToString(), StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.OK, (await _open.Client.GetAsync("/health", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Theory]
    [InlineData("Host", "0.0.0.0", "API key")]
    [InlineData("Host", "example.org", "must be an address")]
    [InlineData("Port", "70000", "Port")]
    [InlineData("ApiKey", "short", "16 characters")]
    [InlineData("ApiKeyFile", "/nowhere/key", "does not exist")]
    [InlineData("TlsCertificate", "cert.pem", "TlsKey")]
    [InlineData("AllowedOrigins:0", "chat.example.org", "an origin is a scheme and a host")]
    [InlineData("MaxRequestBytes", "1", "MaxRequestBytes")]
    public void Settings_that_cannot_be_are_named_before_anything_listens(string setting, string value, string expected)
    {
        IConfiguration configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["Gateway:" + setting] = value }).Build();
        var exception = Assert.Throws<OptionsValidationException>(() => GatewayApp.ReadOptions(configuration));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }
}
