using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using Cleave.Inference;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using AiMessage = Microsoft.Extensions.AI.ChatMessage;

namespace Cleave.Gateway.Tests.Clients;

/// <summary>The official OpenAI .NET client, Microsoft.Extensions.AI's adapter for it, and our own client drive the gateway.</summary>
public abstract class DotNetClientTests(GatewayFixture fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private ChatClient Client => new(TestGateway.ModelName, new ApiKeyCredential("none"), new OpenAIClientOptions
    {
        Endpoint = new Uri(fixture.Gateway.Address, "/v1"),
        RetryPolicy = new ClientRetryPolicy(0),
    });

    private static ChatCompletionOptions Greedy(int maxTokens = 24) => new() { Temperature = 0, MaxOutputTokenCount = maxTokens };

    [Fact]
    public async Task Chat_and_streaming_agree()
    {
        OpenAI.Chat.ChatMessage[] messages = [new SystemChatMessage("You are brief."), new UserChatMessage("Name five musical instruments.")];
        ChatCompletion whole = await Client.CompleteChatAsync(messages, Greedy(), Cancellation);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.Length, whole.FinishReason);
        Assert.Equal(24, whole.Usage.OutputTokenCount);

        var text = new StringBuilder();
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in Client.CompleteChatStreamingAsync(messages, Greedy(), Cancellation))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            usage = update.Usage ?? usage;
        }

        Assert.Equal(whole.Content[0].Text, text.ToString());
        Assert.Equal(24, usage!.OutputTokenCount); // this client always asks for usage
        Assert.True(usage.InputTokenDetails.CachedTokenCount > 0, "the second request found the first one's prefix");
    }

    [Fact]
    public async Task Cancelling_stops_the_answer_and_the_gateway_goes_on()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate _ in Client.CompleteChatStreamingAsync([new UserChatMessage("Tell me a very long story.")], new ChatCompletionOptions { MaxOutputTokenCount = 1500, Temperature = 1 }, stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        ChatCompletion next = await Client.CompleteChatAsync([new UserChatMessage("Say hello.")], Greedy(8), Cancellation);
        Assert.NotEmpty(next.Content[0].Text);
    }

    [Fact]
    public async Task Log_probabilities_and_seeds()
    {
        ChatCompletionOptions options = new() { Temperature = 1, MaxOutputTokenCount = 16, IncludeLogProbabilities = true, TopLogProbabilityCount = 3 };
#pragma warning disable OPENAI001
        options.Seed = 42;
#pragma warning restore OPENAI001
        ChatCompletion one = await Client.CompleteChatAsync([new UserChatMessage("Tell me a story.")], options, Cancellation);
        ChatCompletion same = await Client.CompleteChatAsync([new UserChatMessage("Tell me a story.")], options, Cancellation);
        Assert.Equal(one.Content[0].Text, same.Content[0].Text);
        Assert.Equal(16, one.ContentTokenLogProbabilities.Count);
        Assert.All(one.ContentTokenLogProbabilities, entry => Assert.Equal(3, entry.TopLogProbabilities.Count));
        Assert.Equal(one.ContentTokenLogProbabilities.Select(entry => entry.LogProbability), same.ContentTokenLogProbabilities.Select(entry => entry.LogProbability));
    }

    [Fact]
    public async Task Json_schema_and_stop_sequences()
    {
        ChatCompletionOptions options = Greedy(200);
        options.ResponseFormat = OpenAI.Chat.ChatResponseFormat.CreateJsonSchemaFormat(
            "city",
            BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string","maxLength":24},"people":{"type":"integer","minimum":0,"maximum":40000000}},"required":["city","people"],"additionalProperties":false}"""),
            jsonSchemaIsStrict: true);
        ChatCompletion answer = await Client.CompleteChatAsync([new UserChatMessage("Describe Paris.")], options, Cancellation);
        using JsonDocument json = JsonDocument.Parse(answer.Content[0].Text);
        Assert.InRange(json.RootElement.GetProperty("people").GetInt32(), 0, 40_000_000);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.Stop, answer.FinishReason);

        ChatCompletionOptions stopping = Greedy();
        stopping.StopSequences.Add("\n");
        ChatCompletion line = await Client.CompleteChatAsync([new UserChatMessage("Name five musical instruments.")], stopping, Cancellation);
        Assert.DoesNotContain('\n', line.Content[0].Text);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.Stop, line.FinishReason);
    }

    [Fact]
    public async Task Errors_carry_status_and_code()
    {
        var wrong = new ChatClient("gpt-9", new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(fixture.Gateway.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });
        ClientResultException missing = await Assert.ThrowsAsync<ClientResultException>(() => wrong.CompleteChatAsync([new UserChatMessage("x")], Greedy(), Cancellation));
        Assert.Equal(404, missing.Status);
        Assert.Contains("model_not_found", missing.Message, StringComparison.Ordinal);

        ChatCompletionOptions tools = Greedy();
        tools.Tools.Add(ChatTool.CreateFunctionTool("f"));
        ClientResultException unsupported = await Assert.ThrowsAsync<ClientResultException>(() => Client.CompleteChatAsync([new UserChatMessage("x")], tools, Cancellation));
        Assert.Equal(400, unsupported.Status);
        Assert.Contains("unsupported_parameter", unsupported.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_extensions_adapter_works()
    {
        using IChatClient chat = Client.AsIChatClient();
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 24 };
        ChatResponse whole = await chat.GetResponseAsync("Name five musical instruments.", options, Cancellation);
        Assert.Equal(24, whole.Usage!.OutputTokenCount);
        var text = new StringBuilder();
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync("Name five musical instruments.", options, Cancellation))
        {
            text.Append(update.Text);
        }

        Assert.Equal(whole.Text, text.ToString());
        ChatResponse<Instrument> typed = await chat.GetResponseAsync<Instrument>("Describe a piano.", new ChatOptions { Temperature = 0, MaxOutputTokens = 300 }, cancellationToken: Cancellation);
        Assert.InRange((int)typed.Result.Kind, 0, 2);
    }

    [Fact]
    public async Task The_gateways_own_client_says_the_same()
    {
        await using var own = new Chat.SplitChatClient(fixture.Gateway.Served.Backend);
        using IChatClient remote = Client.AsIChatClient();
        AiMessage[] messages = [new(ChatRole.System, "You are brief."), new(ChatRole.User, "Name five musical instruments.")];
        foreach (ChatOptions options in (ChatOptions[])[
            new() { Temperature = 0, MaxOutputTokens = 32 },
            new() { Temperature = 1, Seed = 5, TopP = 0.9f, MaxOutputTokens = 32, FrequencyPenalty = 0.5f, StopSequences = ["3."] }])
        {
            ChatResponse here = await own.GetResponseAsync(messages, options, Cancellation);
            ChatResponse there = await remote.GetResponseAsync(messages, options, Cancellation);
            Assert.Equal(there.Text, here.Text);
            Assert.Equal(there.FinishReason, here.FinishReason);
            Assert.Equal(there.Usage!.OutputTokenCount, here.Usage!.OutputTokenCount);
            Assert.IsType<GenerationStatistics>(here.Messages.Count == 1 ? here.AdditionalProperties?["statistics"] : null);
        }

        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate _ in own.GetStreamingResponseAsync(messages, new ChatOptions { Temperature = 1, MaxOutputTokens = 1500 }, stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        ChatResponse<Instrument> typed = await own.GetResponseAsync<Instrument>("Describe a piano.", new ChatOptions { Temperature = 0, MaxOutputTokens = 300 }, cancellationToken: Cancellation);
        Assert.InRange((int)typed.Result.Kind, 0, 2);
        await Assert.ThrowsAsync<NotSupportedException>(() => own.GetResponseAsync(messages, new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "f")] }, Cancellation));
    }

    internal enum Kind
    {
        Wind,
        String,
        Percussion,
    }

    internal sealed record Instrument(Kind Kind, bool HasKeys);
}
