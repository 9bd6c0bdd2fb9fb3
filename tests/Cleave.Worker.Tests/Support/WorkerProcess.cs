using System.Diagnostics;
using System.Text;
using Cleave.Protocol.Pairing;

namespace Cleave.Worker.Tests.Support;

/// <summary>The cleave-worker executable, run as users run it.</summary>
internal sealed class WorkerProcess : IAsyncDisposable
{
    private readonly StringBuilder _errors = new();

    private WorkerProcess(Process process) => Process = process;

    public Process Process { get; }

    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    public static string Program => Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "cleave-worker.exe" : "cleave-worker");

    public static WorkerProcess Start(params string[] arguments) => Start(Program, arguments);

    public static WorkerProcess Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        var worker = new WorkerProcess(Process.Start(start)!);
        worker.Process.ErrorDataReceived += (_, line) =>
        {
            lock (worker._errors)
            {
                worker._errors.AppendLine(line.Data);
            }
        };
        worker.Process.BeginErrorReadLine();
        return worker;
    }

    /// <summary>Runs to its end; its exit code and standard output.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        await using WorkerProcess worker = Start(arguments);
        worker.Process.StandardInput.Close();
        string output = await worker.Process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await worker.ExitAsync();
        return (worker.Process.ExitCode, output, worker.Errors);
    }

    public async Task<PairingLink> LinkAsync() =>
        PairingLink.Parse(await Process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60)) ?? throw new InvalidOperationException("no link: " + Errors));

    public async Task ExitAsync() => await Process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60));

    public async ValueTask DisposeAsync()
    {
        if (!Process.HasExited)
        {
            Process.Kill(entireProcessTree: true);
            await Process.WaitForExitAsync();
        }

        Process.Dispose();
    }
}
