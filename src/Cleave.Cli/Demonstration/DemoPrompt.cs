namespace Cleave.Cli.Demonstration;

/// <summary>A prompt of the demo.</summary>
/// <param name="Kind">What sort of text it asks for; how much a decoder can guess depends on it.</param>
/// <param name="Text">A user's message.</param>
internal sealed record DemoPrompt(string Kind, string Text)
{
    /// <summary>One of each kind the benchmarks use, and one whose answer repeats its prompt.</summary>
    public static IReadOnlyList<DemoPrompt> All { get; } =
    [
        new("code", "Write a Python function to implement binary search on a sorted list."),
        new("structured", "Name five musical instruments."),
        new("creative", "Tell me a bedtime story about a brave mouse."),
        new("chat", "What are the symptoms of diabetes?"),
    ];
}
