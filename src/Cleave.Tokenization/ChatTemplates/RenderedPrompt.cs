namespace Cleave.Tokenization.ChatTemplates;

/// <summary>
/// A rendered conversation that remembers which of its text came from messages. Encoding it takes control tokens from the
/// template's own text only: a user who writes "&lt;|end|&gt;" has written seven characters.
/// </summary>
public sealed record RenderedPrompt
{
    internal RenderedPrompt(string text, IReadOnlyList<Range> data)
    {
        Text = text;
        Data = data;
    }

    /// <summary>The whole prompt.</summary>
    public string Text { get; }

    /// <summary>Stretches of <see cref="Text"/> that are data, in order, disjoint.</summary>
    public IReadOnlyList<Range> Data { get; }
}
