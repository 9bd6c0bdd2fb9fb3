using System.Diagnostics;
using Cleave.Models.Hub;

namespace Cleave.Cli.Terminal;

/// <summary>A pull's progress in words: five times a second on a terminal, every ten seconds in a log.</summary>
internal sealed class PullStatus(StatusLine status) : IProgress<PullProgress>, IDisposable
{
    private static readonly TimeSpan s_pause = Console.IsErrorRedirected ? TimeSpan.FromSeconds(10) : TimeSpan.FromMilliseconds(200);

    private readonly Lock _gate = new();
    private readonly Stopwatch _since = Stopwatch.StartNew();
    private TimeSpan _said;
    private long _first = -1;
    private bool _ended;

    /// <inheritdoc />
    public void Report(PullProgress value)
    {
        lock (_gate)
        {
            // The first report tells what was here already; a speed does not count it.
            _first = _first < 0 ? value.Bytes : _first;
            if (_ended || _since.Elapsed - _said < s_pause)
            {
                return;
            }

            _said = _since.Elapsed;
            status.Say(FormattableString.Invariant(
                $"{value.File}: {value.Bytes / 1e6:F0} of {value.TotalBytes / 1e6:F0} MB, {(value.Bytes - _first) / 1e6 / _since.Elapsed.TotalSeconds:F1} MB/s"));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        lock (_gate)
        {
            _ended = true;
        }
    }
}
