using Cleave.Inference.Decoding;

namespace Cleave.Inference.Tests;

/// <summary>Keeps every chosen token and the logits it was chosen from.</summary>
internal sealed class LogitRecorder : ITokenObserver
{
    public List<int> Tokens { get; } = [];

    public List<float> Logits { get; } = [];

    public void OnToken(int token, ReadOnlySpan<float> logits)
    {
        Tokens.Add(token);
        Logits.AddRange(logits);
    }
}
