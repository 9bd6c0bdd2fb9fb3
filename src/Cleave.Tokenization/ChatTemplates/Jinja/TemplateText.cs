using System.Text;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>A string that knows which stretches of it are data. Compares by its text alone.</summary>
internal sealed class TemplateText : IEquatable<TemplateText>
{
    public static readonly TemplateText Empty = new("");

    private readonly (int Start, int End)[] _data;

    public TemplateText(string text)
        : this(text, [])
    {
    }

    private TemplateText(string text, (int Start, int End)[] data)
    {
        Text = text;
        _data = data;
    }

    public string Text { get; }

    public int Length => Text.Length;

    public bool HasData => _data.Length > 0;

    public IReadOnlyList<Range> Data => [.. _data.Select(range => range.Start..range.End)];

    public static TemplateText OfData(string text) => new(text, text.Length > 0 ? [(0, text.Length)] : []);

    /// <summary>Text made of others in a way that does not keep places: all data if any was.</summary>
    public static TemplateText Derived(string text, bool fromData) => fromData ? OfData(text) : new TemplateText(text);

    /// <summary>Same length, char for char.</summary>
    public TemplateText Recased(string text) => text.Length == Length ? new TemplateText(text, _data) : Derived(text, HasData);

    public TemplateText Slice(int start, int length)
    {
        if (start == 0 && length == Length)
        {
            return this;
        }

        string text = Text.Substring(start, length);
        if (_data.Length == 0)
        {
            return new TemplateText(text);
        }

        var kept = new List<(int, int)>();
        foreach ((int from, int to) in _data)
        {
            int first = Math.Max(from, start) - start;
            int last = Math.Min(to, start + length) - start;
            if (first < last)
            {
                kept.Add((first, last));
            }
        }

        return new TemplateText(text, [.. kept]);
    }

    public TemplateText Trim(Func<char, bool> strips, bool start = true, bool end = true)
    {
        int first = 0;
        int last = Length;
        while (start && first < last && strips(Text[first]))
        {
            first++;
        }

        while (end && last > first && strips(Text[last - 1]))
        {
            last--;
        }

        return Slice(first, last - first);
    }

    public bool Equals(TemplateText? other) => other is not null && Text == other.Text;

    public override bool Equals(object? obj) => Equals(obj as TemplateText);

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    /// <summary>Joins texts and keeps their places.</summary>
    internal sealed class Builder(Budget budget)
    {
        private readonly StringBuilder _text = new();
        private readonly List<(int Start, int End)> _ranges = [];

        public Builder Append(TemplateText part)
        {
            budget.Spend(part.Length);
            if ((long)_text.Length + part.Length > Budget.MaxText)
            {
                budget.Spend(long.MaxValue / 2);
            }

            foreach ((int start, int end) in part._data)
            {
                int from = _text.Length + start;
                int to = _text.Length + end;
                if (_ranges.Count > 0 && _ranges[^1].End == from)
                {
                    _ranges[^1] = (_ranges[^1].Start, to);
                }
                else
                {
                    _ranges.Add((from, to));
                }
            }

            _text.Append(part.Text);
            return this;
        }

        public Builder Append(string text) => Append(new TemplateText(text));

        public TemplateText Build() => new(_text.ToString(), [.. _ranges]);
    }
}
