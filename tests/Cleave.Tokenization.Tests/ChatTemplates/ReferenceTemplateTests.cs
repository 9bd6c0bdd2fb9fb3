using System.Globalization;
using System.Text.Json;
using Cleave.Tokenization.ChatTemplates;

namespace Cleave.Tokenization.Tests.ChatTemplates;

/// <summary>Real models' templates against renderings of the reference implementations.</summary>
public sealed class ReferenceTemplateTests
{
    public static TheoryData<string> Names =>
        [.. Directory.GetFiles(Repository.Fixture("chat-templates"), "*.jinja").Select(path => Path.GetFileNameWithoutExtension(path)!)];

    [Theory]
    [MemberData(nameof(Names))]
    public void EveryCaseRendersAsTheReference(string name)
    {
        ChatTemplate template = ChatTemplate.Parse(File.ReadAllText(Repository.Fixture("chat-templates", name + ".jinja")));
        JsonElement[] cases =
            [.. JsonDocument.Parse(File.ReadAllBytes(Repository.Fixture("chat-templates", name + ".json"))).RootElement.EnumerateArray()];
        Assert.NotEmpty(cases);
        foreach (JsonElement item in cases)
        {
            var prompt = new ChatPrompt
            {
                Messages = [.. item.GetProperty("messages").EnumerateArray().Select(message =>
                    new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()))],
                AddGenerationPrompt = item.GetProperty("add_generation_prompt").GetBoolean(),
                BosToken = item.GetProperty("bos_token").GetString()!,
                EosToken = item.GetProperty("eos_token").GetString()!,
                Variables = new Dictionary<string, object?> { ["date_string"] = item.GetProperty("date_string").GetString() },
                Clock = new FixedClock(DateTime.Parse(item.GetProperty("date_string").GetString()!, CultureInfo.InvariantCulture)),
            };
            if (item.TryGetProperty("error", out JsonElement error))
            {
                var e = Assert.Throws<ChatTemplateException>(() => template.Render(prompt));
                Assert.True(e.RaisedByTemplate);
                Assert.Equal(error.GetString(), e.Message);
            }
            else
            {
                Assert.Equal(item.GetProperty("rendered").GetString(), template.Render(prompt).Text);
            }
        }
    }

    [Fact]
    public void EveryJinjaCaseRendersAsJinja()
    {
        // Rendered by Jinja2 itself in the environment Hugging Face's transformers sets up.
        using JsonDocument packed = Repository.Cases("jinja.cases.json.gz");
        JsonElement file = packed.RootElement;
        JsonElement variables = file.GetProperty("variables");
        JsonElement[] cases = [.. file.GetProperty("cases").EnumerateArray()];
        Assert.True(cases.Length > 250);
        var failures = new List<string>();
        foreach (JsonElement item in cases)
        {
            string source = item.GetProperty("template").GetString()!;
            string? expected = item.GetProperty("rendered").GetString();
            string? actual = Render(source, variables);
            if (expected != actual)
            {
                failures.Add($"{source}\n  expected {JsonSerializer.Serialize(expected)}\n  got      {JsonSerializer.Serialize(actual)}");
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    // Null for an error, whatever its words.
    private static string? Render(string source, JsonElement variables)
    {
        try
        {
            return ChatTemplate.Parse(source).Render(new ChatPrompt
            {
                Messages = [],
                AddGenerationPrompt = false,
                Variables = variables.EnumerateObject().ToDictionary(pair => pair.Name, pair => (object?)pair.Value),
            }).Text;
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }

    internal sealed class FixedClock(DateTime now) : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new(now, TimeSpan.Zero);
    }
}
