namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>
/// Which texts never leave this machine: a conversation that matches one rule is answered by all layers locally. Rules are heuristics: what they
/// do not recognise is sent.
/// </summary>
public sealed class KeepLocalRules
{
    private static readonly IKeepLocalRule[] BuiltIn = [new EmailRule(), new PhoneRule(), new CardRule(), new IbanRule(), new KeyMaterialRule()];

    private readonly IReadOnlyList<IKeepLocalRule> _rules;

    /// <param name="rules">Rules, the first match names the reason.</param>
    public KeepLocalRules(IReadOnlyList<IKeepLocalRule> rules) => _rules = rules;

    /// <summary>Names of the built-in rules.</summary>
    public static IReadOnlyList<string> BuiltInNames { get; } = [.. BuiltIn.Select(static rule => rule.Name)];

    /// <summary>Rules in use.</summary>
    public IReadOnlyList<string> Names => [.. _rules.Select(static rule => rule.Name)];

    /// <summary>
    /// Reads rules separated by commas: names of built-in rules, "all" for every one of them, /regular expression/ for one of the user's, or
    /// @FILE with one rule a line (# starts a comment).
    /// </summary>
    /// <exception cref="FormatException">A rule is unknown or malformed; the message names it.</exception>
    public static KeepLocalRules Parse(string text)
    {
        var rules = new List<IKeepLocalRule>();
        foreach (string part in Split(text))
        {
            if (part.StartsWith('@'))
            {
                foreach (string line in File.ReadLines(part[1..]).Select(static line => line.Trim()).Where(static line => line.Length > 0 && line[0] != '#'))
                {
                    Add(line, rules);
                }
            }
            else
            {
                Add(part, rules);
            }
        }

        return rules.Count > 0 ? new KeepLocalRules(rules) : throw new FormatException($"'{text}' holds no rule; {Remedy}");
    }

    /// <summary>The name of the first rule a text matches, null when it may be sent. The text itself is never repeated.</summary>
    public string? Reason(string text) => _rules.FirstOrDefault(rule => rule.Matches(text))?.Name;

    /// <summary>The name of the first rule any of several texts matches.</summary>
    public string? Reason(IEnumerable<string> texts) => texts.Select(Reason).FirstOrDefault(static reason => reason is not null);

    private static string Remedy => $"give {string.Join(", ", BuiltInNames)}, all, /regular expression/ or @FILE";

    private static void Add(string rule, List<IKeepLocalRule> rules)
    {
        if (rule == "all")
        {
            rules.AddRange(BuiltIn);
        }
        else if (rule is ['/', _, .., '/'])
        {
            rules.Add(new PatternRule(rule[1..^1]));
        }
        else
        {
            rules.Add(BuiltIn.FirstOrDefault(known => known.Name == rule) ?? throw new FormatException($"there is no rule '{rule}'; {Remedy}"));
        }
    }

    /// <summary>Commas separate rules, except within /.../.</summary>
    private static IEnumerable<string> Split(string text)
    {
        int start = 0;
        bool inPattern = false;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] == '/' && (i == 0 || text[i - 1] != '\\'))
            {
                inPattern = !inPattern;
            }

            if (i == text.Length || (text[i] == ',' && !inPattern))
            {
                string part = text[start..i].Trim();
                start = i + 1;
                if (part.Length > 0)
                {
                    yield return part;
                }
            }
        }
    }
}
