using System.Diagnostics;
using Cleave.Models;
using Cleave.Models.Hub;

namespace Cleave.Worker.Commands;

/// <summary>Fetches a worker's layers before it serves them, telling how far it is on standard error.</summary>
internal static class LayerFetch
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(5);

    /// <summary>The path of the layers on this machine.</summary>
    public static async Task<string> RunAsync(HubName name, LayerRange layers, string revision, CancellationToken stop)
    {
        HubSettings settings = HubSettings.FromEnvironment();
        await Console.Error.WriteLineAsync($"Fetching layers {layers} of {name} from {settings.Endpoint.Host}.").ConfigureAwait(false);
        using var pull = new HubPull(settings);
        string path = await pull.LayersAsync(name, layers, revision, new Told(), stop).ConfigureAwait(false);
        await Console.Error.WriteLineAsync($"The layers are in {path}; --model with this path serves them without the hub.").ConfigureAwait(false);
        return path;
    }

    private sealed class Told : IProgress<PullProgress>
    {
        private readonly Stopwatch _since = Stopwatch.StartNew();

        public void Report(PullProgress value)
        {
            if (_since.Elapsed > s_pause)
            {
                _since.Restart();
                Console.Error.WriteLine(FormattableString.Invariant($"{value.Bytes / 1e6:F0} of {value.TotalBytes / 1e6:F0} MB"));
            }
        }
    }
}
