using System.Runtime.InteropServices;

namespace Cleave.Cli.Terminal;

/// <summary>
/// Ctrl-C and SIGTERM. The first asks the running command to stop, so that it can end its worker; a second ends the process
/// at once (the worker then notices by itself). A chat takes Ctrl-C over while an answer is being written.
/// </summary>
internal sealed class Interrupts : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;
    private Action? _takenOver;

    public Interrupts()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Handle(signal, mayBeTakenOver: true));
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Handle(signal, mayBeTakenOver: false));
    }

    /// <summary>Cancelled by the first signal nobody took over.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>Until disposed, Ctrl-C calls <paramref name="action"/> instead of stopping the command.</summary>
    public IDisposable TakeOver(Action action)
    {
        lock (_gate)
        {
            _takenOver = action;
        }

        return new Restore(this);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _stop.Dispose();
    }

    private void Handle(PosixSignalContext signal, bool mayBeTakenOver)
    {
        Action? action;
        lock (_gate)
        {
            action = mayBeTakenOver ? _takenOver : null;
        }

        if (action is not null)
        {
            signal.Cancel = true;
            action();
        }
        else if (!_stop.IsCancellationRequested)
        {
            signal.Cancel = true;
            _stop.Cancel();
        }
    }

    private sealed class Restore(Interrupts owner) : IDisposable
    {
        public void Dispose()
        {
            lock (owner._gate)
            {
                owner._takenOver = null;
            }
        }
    }
}
