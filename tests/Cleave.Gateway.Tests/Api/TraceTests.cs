using System.Collections.Concurrent;
using System.Diagnostics;
using Cleave.Inference;

namespace Cleave.Gateway.Tests.Api;

/// <summary>What is traced of an answer: counts and times, no content.</summary>
[Collection<Alone>]
public sealed class TraceTests
{
    [Fact]
    public async Task An_answer_is_a_span_of_its_request_with_counts_and_no_content()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name is "Cleave.Gateway" or "Microsoft.AspNetCore",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using (TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: 2))
        {
            await Call.OkAsync(gateway.Client, Call.Chat("Zanzibar-4711, tell me a story.", "\"max_tokens\":7,\"temperature\":0,\"logit_bias\":{\"3\":-100}"));
        }

        Activity answer = Assert.Single(spans, static span => span.OperationName == "cleave.answer");
        Assert.Equal(7, answer.GetTagItem("cleave.output_tokens"));
        Assert.Equal(ActivityStatusCode.Ok, answer.Status);
        Assert.True((double)answer.GetTagItem("cleave.middle_ms")! > 0);
        Assert.Contains(spans, span => span.SpanId == answer.ParentSpanId);
        Assert.All(spans, static span => Assert.DoesNotContain(
            "Zanzibar", string.Join('\n', span.TagObjects.Select(static tag => tag.Value)) + span.DisplayName + string.Join('\n', span.Events.Select(static one => one.Name)), StringComparison.OrdinalIgnoreCase));
    }
}
