namespace Cleave.Gateway.OpenAi;

/// <summary>Reports prompt progress where it happens (System.Progress would post it elsewhere, out of order).</summary>
internal sealed class PromptProgress(Action<int> report) : IProgress<int>
{
    /// <inheritdoc />
    public void Report(int value) => report(value);
}
