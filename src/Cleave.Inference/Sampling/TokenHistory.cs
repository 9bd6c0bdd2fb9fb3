namespace Cleave.Inference.Sampling;

/// <summary>How often each token occurs in a row's own path, for penalties.</summary>
public sealed class TokenHistory
{
    private readonly Dictionary<int, int> _outputCounts = [];
    private readonly HashSet<int> _seen = [];

    /// <summary>Tokens of prompt and output.</summary>
    public IReadOnlySet<int> Seen => _seen;

    /// <summary>Occurrences in the output.</summary>
    public IReadOnlyDictionary<int, int> OutputCounts => _outputCounts;

    /// <summary>Adds prompt tokens.</summary>
    public void AddPrompt(ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
        {
            _seen.Add(token);
        }
    }

    /// <summary>Adds an output token.</summary>
    public void AddOutput(int token)
    {
        _seen.Add(token);
        _outputCounts[token] = _outputCounts.GetValueOrDefault(token) + 1;
    }
}
