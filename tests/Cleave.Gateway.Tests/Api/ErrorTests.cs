using System.Text.Json;

namespace Cleave.Gateway.Tests.Api;

/// <summary>Whatever goes wrong, the answer is OpenAI's error object, and names the parameter.</summary>
public sealed class ErrorTests(SplitGateway fixture) : IClassFixture<SplitGateway>
{
    private HttpClient Client => fixture.Gateway.Client;

    [Theory]
    [InlineData("\"temperature\":-1", "temperature", "invalid_value")]
    [InlineData("\"temperature\":\"hot\"", "temperature", "invalid_value")]
    [InlineData("\"top_p\":2", "top_p", "invalid_value")]
    [InlineData("\"n\":0", "n", "invalid_value")]
    [InlineData("\"n\":17", "n", "invalid_value")]
    [InlineData("\"max_tokens\":0", "max_tokens", "invalid_value")]
    [InlineData("\"max_tokens\":5,\"max_completion_tokens\":5", "max_tokens", "invalid_value")]
    [InlineData("\"seed\":1.5", "seed", "invalid_value")]
    [InlineData("\"stop\":[1]", "stop", "invalid_value")]
    [InlineData("\"stop\":\"\"", "stop", "invalid_value")]
    [InlineData("\"top_logprobs\":3", "top_logprobs", "invalid_value")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":21", "top_logprobs", "invalid_value")]
    [InlineData("\"frequency_penalty\":2.5", "frequency_penalty", "invalid_value")]
    [InlineData("\"logit_bias\":{\"99999\":1}", "logit_bias", "invalid_value")]
    [InlineData("\"stream_options\":{\"include_usage\":true}", "stream_options", "invalid_value")]
    [InlineData("\"stream\":true,\"stream_options\":{\"other\":true}", "stream_options.other", "unknown_parameter")]
    [InlineData("\"response_format\":{\"type\":\"xml\"}", "response_format.type", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a b\",\"schema\":{}}}", "response_format.json_schema.name", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"not\":{}}}}", "response_format.json_schema.schema", "invalid_value")]
    [InlineData("\"tools\":[{}]", "tools", "unsupported_parameter")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice", "unsupported_parameter")]
    [InlineData("\"functions\":[{}]", "functions", "unsupported_parameter")]
    [InlineData("\"modalities\":[\"audio\"]", "modalities", "unsupported_parameter")]
    [InlineData("\"store\":true", "store", "unsupported_parameter")]
    [InlineData("\"service_tier\":\"flex\"", "service_tier", "unsupported_parameter")]
    [InlineData("\"anything_else\":1", "anything_else", "unknown_parameter")]
    public async Task A_parameter_that_cannot_be_is_named(string more, string param, string code)
    {
        (int status, JsonElement body) = await Call.SendAsync(Client, Call.Chat("x", more));
        Assert.Equal(400, status);
        AssertShape(body, param, code);
    }

    [Theory]
    [InlineData("""{"messages":[]}""", 400, "model", "missing_required_parameter")]
    [InlineData("""{"model":"cleave-demo-24m"}""", 400, "messages", "missing_required_parameter")]
    [InlineData("""{"model":"cleave-demo-24m","messages":[{"role":"robot","content":"x"}]}""", 400, "messages[0].role", "invalid_value")]
    [InlineData("""{"model":"cleave-demo-24m","messages":[{"role":"tool","content":"x"}]}""", 400, "messages[0].role", "unsupported_parameter")]
    [InlineData("""{"model":"cleave-demo-24m","messages":[{"role":"user"}]}""", 400, "messages[0].content", "invalid_value")]
    [InlineData("""{"model":"cleave-demo-24m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}""", 400, "messages[0].content[0].type", "unsupported_parameter")]
    [InlineData("""{"model":"other","messages":[{"role":"user","content":"x"}]}""", 404, "model", "model_not_found")]
    [InlineData("""[1]""", 400, "", "invalid_value")]
    [InlineData("""{"model":""", 400, null, "invalid_json")]
    public async Task A_malformed_request_is_refused(string json, int expected, string? param, string code)
    {
        (int status, JsonElement body) = await Call.SendAsync(Client, Call.Post("/v1/chat/completions", json));
        Assert.Equal(expected, status);
        AssertShape(body, param, code);
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", 405, "method_not_allowed")]
    [InlineData("POST", "/v1/embeddings", 404, "unknown_url")]
    [InlineData("GET", "/nowhere", 404, "unknown_url")]
    [InlineData("GET", "/v1/models/other", 404, "model_not_found")]
    [InlineData("DELETE", "/v1/models/cleave-demo-24m", 405, "method_not_allowed")]
    public async Task An_unknown_route_is_refused(string method, string path, int expected, string code)
    {
        (int status, JsonElement body) = await Call.SendAsync(Client, new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(expected, status);
        Assert.Equal(code, body.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Too_much_and_the_wrong_kind_are_refused()
    {
        int status;
        JsonElement body;
        foreach (bool asksFirst in (bool[])[true, false])
        {
            HttpRequestMessage large = Call.Chat(new string('a', 3_000_000));
            large.Headers.ExpectContinue = asksFirst;
            (status, body) = await Call.SendAsync(Client, large);
            Assert.Equal(413, status);
            AssertShape(body, null, "request_too_large");
        }

        foreach (string type in (string[])["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
        {
            (status, body) = await Call.SendAsync(Client, Call.Post("/v1/chat/completions", "{}", type));
            Assert.Equal(415, status);
            AssertShape(body, null, "unsupported_media_type");
        }

        (status, body) = await Call.SendAsync(Client, Call.Post("/v1/chat/completions", new string('[', 5000)));
        Assert.Equal((400, "invalid_json"), (status, body.GetProperty("error").GetProperty("code").GetString()));
        (status, body) = await Call.SendAsync(Client, Call.Post("/v1/completions", """{"model":"cleave-demo-24m","prompt":[[99999]]}"""));
        AssertShape(body, "prompt", "invalid_value");
        Assert.Equal(400, status);
    }

    [Fact]
    public async Task Health_models_and_metrics_answer()
    {
        JsonElement health = await Call.OkAsync(Client, new HttpRequestMessage(HttpMethod.Get, "/health"));
        Assert.Equal("ok", health.GetProperty("status").GetString());
        JsonElement models = await Call.OkAsync(Client, new HttpRequestMessage(HttpMethod.Get, "/v1/models"));
        Assert.Equal(TestGateway.ModelName, models.GetProperty("data")[0].GetProperty("id").GetString());
        await Call.OkAsync(Client, Call.Chat("Say hello.", "\"max_tokens\":4"));
        string metrics = await Client.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Contains("cleave_output_tokens_total", metrics, StringComparison.Ordinal);
        Assert.Contains("cleave_round_trips_total", metrics, StringComparison.Ordinal);
        Assert.Contains("cleave_wire_bytes", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("hello", metrics, StringComparison.OrdinalIgnoreCase);
    }

    private static void AssertShape(JsonElement body, string? param, string code)
    {
        JsonElement error = body.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.NotEqual("", error.GetProperty("message").GetString());
    }
}
