using System.Diagnostics;
using Cleave.Engine;

namespace Cleave.Worker.Commands;

/// <summary>A line a second while layers load; none when it takes less.</summary>
internal sealed class LoadingLines(Action<string> say) : IProgress<LoadProgress>
{
    private static readonly TimeSpan s_between = TimeSpan.FromSeconds(1);

    private long _said = Stopwatch.GetTimestamp();

    /// <inheritdoc />
    public void Report(LoadProgress value)
    {
        if (Stopwatch.GetElapsedTime(_said) >= s_between)
        {
            _said = Stopwatch.GetTimestamp();
            say($"{value.Layers} of {value.TotalLayers} layers are loaded");
        }
    }
}
