namespace Cleave.Cli.Demonstration;

/// <summary>A prompt of the demo.</summary>
/// <param name="Kind">What sort of text it asks for; how much a decoder can guess depends on it.</param>
/// <param name="Text">A user's message, or text to go on with.</param>
/// <param name="IsChat">False to send the text as it is.</param>
internal sealed record DemoPrompt(string Kind, string Text, bool IsChat = true)
{
    /// <summary>One of each kind the benchmarks use, the last a text that repeats itself.</summary>
    public static IReadOnlyList<DemoPrompt> All { get; } =
    [
        new("code", "Write a C# method that reverses a string."),
        new("structured", "Name five musical instruments."),
        new("creative", "Tell me a bedtime story about a brave mouse."),
        new("conversational", "Hello! How are you today?"),
        new("repeat", string.Concat(Enumerable.Repeat("{\"status\": \"ok\", \"count\": 1}\n", 6)), IsChat: false),
    ];

    /// <summary>Its first line.</summary>
    public string Title => Text.Split('\n') is [var only] ? only : Text.Split('\n')[0] + " ...";
}
