using System.Diagnostics;
using Cleave.Engine;

namespace Cleave.Cli.Running;

/// <summary>Says how far a model has been loaded, once it takes longer than a moment.</summary>
internal sealed class LoadingStatus(string what, Action<string> say) : IProgress<LoadProgress>
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);

    private long _said = Stopwatch.GetTimestamp();

    /// <inheritdoc />
    public void Report(LoadProgress value)
    {
        if (Stopwatch.GetElapsedTime(_said) >= Between)
        {
            _said = Stopwatch.GetTimestamp();
            say($"loading {what}: layer {value.Layers} of {value.TotalLayers}");
        }
    }
}
