using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Cleave.Gateway.Tests.Api;

/// <summary>Requests as a plain HTTP client sends them.</summary>
internal static class Call
{
    public static HttpRequestMessage Post(string path, string json, string type = "application/json")
    {
        var content = new StringContent(json, Encoding.UTF8);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
    }

    public static HttpRequestMessage Chat(string user, string more = "") =>
        Post("/v1/chat/completions", $$"""{"model":"{{TestGateway.ModelName}}","messages":[{"role":"user","content":{{JsonSerializer.Serialize(user)}}}]{{(more.Length == 0 ? "" : "," + more)}}}""");

    public static async Task<(int Status, JsonElement Body)> SendAsync(HttpClient client, HttpRequestMessage request)
    {
        using HttpResponseMessage response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        using JsonDocument body = JsonDocument.Parse(text.Length == 0 ? "null" : text);
        return ((int)response.StatusCode, body.RootElement.Clone());
    }

    public static async Task<JsonElement> OkAsync(HttpClient client, HttpRequestMessage request)
    {
        (int status, JsonElement body) = await SendAsync(client, request);
        Assert.True(status == 200, body.ToString());
        return body;
    }

    public static string Text(JsonElement completion, int choice = 0) => completion.GetProperty("choices")[choice].GetProperty("message").GetProperty("content").GetString()!;
}
