using System.Diagnostics;
using System.Globalization;
using System.Text;
using Cleave.Models;
using Cleave.Protocol.Pairing;

namespace Cleave.Cli.Running;

/// <summary>
/// A worker of our own on this machine, as a process apart: what the trusted side talks to is the same executable, wire and
/// TLS as a stranger's. It holds the reading end of a pipe whose other end is ours, and leaves when that closes: however
/// this process ends, no worker is left behind.
/// </summary>
internal sealed class WorkerProcess : IAsyncDisposable
{
    // Of silence: a large model takes minutes to load, and the worker says so.
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly StringBuilder _errors = new();
    private readonly Action<string> _say;
    private long _heardAt = Stopwatch.GetTimestamp();
    private bool _ended;

    private WorkerProcess(Process process, Action<string> say)
    {
        _process = process;
        _say = say;
    }

    /// <summary>How to reach it.</summary>
    public PairingLink Link { get; private set; } = null!;

    /// <summary>Its process id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>True when it is gone.</summary>
    public bool HasExited => _ended || _process.HasExited;

    /// <summary>Starts a worker for some layers of a model on a free loopback port, and waits until it serves.</summary>
    /// <exception cref="CliException">It did not start; the message has its own words.</exception>
    public static async Task<WorkerProcess> StartAsync(string modelPath, LayerRange layers, WeightPrecision weights, DeviceSettings devices, Action<string> say, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = Locate();
        foreach (string argument in (string[])["--model", modelPath, "--layers", layers.ToString(), "--listen", "127.0.0.1:0", "--weights", weights.ToString(), "--child"])
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string? value) in (ReadOnlySpan<(string, string?)>)[("--device", devices.WorkerDevice), ("--kv-type", devices.KvType?.ToString())])
        {
            if (value is not null)
            {
                start.ArgumentList.Add(name);
                start.ArgumentList.Add(value);
            }
        }

        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        Process process = Process.Start(start) ?? throw new CliException($"{start.FileName} could not be started");
        var worker = new WorkerProcess(process, say);
        try
        {
            worker.Link = await worker.WaitForLinkAsync(cancellationToken);
            return worker;
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        try
        {
            _process.StandardInput.Close();
            using var timeout = new CancellationTokenSource(StopTimeout);
            await _process.WaitForExitAsync(timeout.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or InvalidOperationException)
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }
        }

        _process.Dispose();
    }

    private static ProcessStartInfo Locate()
    {
        // A package whose programs share one runtime has no folder for the worker.
        string folder = Path.Combine(AppContext.BaseDirectory, "worker");
        folder = Directory.Exists(folder) ? folder : AppContext.BaseDirectory;
        string program = Path.Combine(folder, OperatingSystem.IsWindows() ? "cleave-worker.exe" : "cleave-worker");
        string assembly = Path.Combine(folder, "cleave-worker.dll");
        if (!File.Exists(assembly) && !File.Exists(program))
        {
            throw new CliException($"no worker lies beside the program: {program} is missing", "build or publish src/Cleave.Cli, or give a running worker with --worker LINK");
        }

        // Started by "dotnet cleave.dll": the host that runs us can run the worker too, wherever it is installed.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" && File.Exists(assembly))
        {
            return new ProcessStartInfo(Environment.ProcessPath!) { ArgumentList = { assembly } };
        }

        return new ProcessStartInfo(program);
    }

    private async Task<PairingLink> WaitForLinkAsync(CancellationToken cancellationToken)
    {
        var found = new TaskCompletionSource<PairingLink>(TaskCreationOptions.RunContinuationsAsynchronously);
        _process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is null)
            {
                _ = found.TrySetException(new CliException("the worker stopped before it was ready" + Said()));
            }
            else if (line.Data.IndexOf(PairingLink.Scheme, StringComparison.Ordinal) is >= 0 and var at && PairingLink.TryParse(line.Data[at..], out PairingLink? link, out string? _))
            {
                _ = found.TrySetResult(link!);
            }
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            Volatile.Write(ref _heardAt, Stopwatch.GetTimestamp());
            if (line.Data is { } said && (said.EndsWith("layers are loaded", StringComparison.Ordinal) || said.StartsWith("computing on", StringComparison.Ordinal)))
            {
                _say("the worker: " + said);
            }

            lock (_errors)
            {
                if (line.Data is not null && _errors.Length < 4000)
                {
                    _errors.AppendLine(line.Data);
                }
            }
        };
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        while (true)
        {
            try
            {
                return await found.Task.WaitAsync(TimeSpan.FromSeconds(1), cancellationToken);
            }
            catch (TimeoutException) when (Stopwatch.GetElapsedTime(Volatile.Read(ref _heardAt)) < StartTimeout)
            {
            }
            catch (TimeoutException)
            {
                throw new CliException(string.Create(CultureInfo.InvariantCulture, $"the worker has said nothing for {StartTimeout.TotalSeconds} s and is not ready") + Said());
            }
        }
    }

    private string Said()
    {
        // The last words often arrive just after the end of the output.
        Thread.Sleep(100);
        lock (_errors)
        {
            return _errors.Length == 0 ? "" : ": " + _errors.ToString().Trim();
        }
    }
}
