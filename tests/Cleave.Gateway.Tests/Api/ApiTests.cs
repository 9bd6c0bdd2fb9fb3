using System.Net.Http.Json;
using System.Text.Json;

namespace Cleave.Gateway.Tests.Api;

/// <summary>First words with the API.</summary>
public sealed class ApiTests(SplitGateway fixture) : IClassFixture<SplitGateway>
{
    [Fact]
    public async Task It_answers()
    {
        using HttpResponseMessage response = await fixture.Gateway.Client.PostAsJsonAsync("/v1/chat/completions", new { model = TestGateway.ModelName, temperature = 0, max_tokens = 24, messages = new[] { new { role = "user", content = "Name five musical instruments." } } });
        string body = await response.Content.ReadAsStringAsync();
        TestContext.Current.TestOutputHelper!.WriteLine(body);
        Assert.True(response.IsSuccessStatusCode, body);
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.NotEqual("", json.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }
}
