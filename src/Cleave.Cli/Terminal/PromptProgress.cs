namespace Cleave.Cli.Terminal;

/// <summary>Says how much of a long prompt the worker has answered. Called where it happens: the next line written may be the answer's.</summary>
internal sealed class PromptProgress(StatusLine status) : IProgress<int>
{
    /// <inheritdoc />
    public void Report(int value) => status.Say($"reading the prompt, {value} tokens so far");
}
