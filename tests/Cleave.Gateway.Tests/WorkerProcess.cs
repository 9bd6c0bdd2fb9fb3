using System.Diagnostics;
using Cleave.Protocol.Pairing;

namespace Cleave.Gateway.Tests;

/// <summary>A worker as a process of its own, with a key that outlives it: killed, it comes back under the same link.</summary>
public sealed class WorkerProcess : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cleave-worker-").FullName;
    private Process _process = null!;
    private int _port;

    public PairingLink Link { get; private set; } = null!;

    public static async Task<WorkerProcess> StartAsync()
    {
        var worker = new WorkerProcess();
        await worker.RestartAsync();
        return worker;
    }

    public async Task RestartAsync()
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardError = true, RedirectStandardOutput = true };
        string link = Path.Combine(_folder, "worker.link");
        foreach (string argument in (string[])[
            Path.Combine(AppContext.BaseDirectory, "cleave-worker.dll"), "--model", DemoModel.Path, "--layers", "2..10", "--listen", $"127.0.0.1:{_port}",
            "--key-dir", _folder, "--link-file", link, "--threads", "1"])
        {
            start.ArgumentList.Add(argument);
        }

        _process = Process.Start(start)!;
        var said = new List<string>();
        while (await _process.StandardError.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            said.Add(line);
            if (line.Contains("pairing link is in", StringComparison.Ordinal))
            {
                _ = _process.StandardError.ReadToEndAsync();
                Assert.True(PairingLink.TryParse(await File.ReadAllTextAsync(link), out PairingLink? parsed, out string? problem), problem);
                Link = parsed!;
                _port = Link.Port;
                return;
            }
        }

        Assert.Fail("the worker did not start: " + string.Join('\n', said));
    }

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        try
        {
            if (!_process.HasExited)
            {
                Kill();
            }
        }
        catch (InvalidOperationException)
        {
            // killed by the test
        }

        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}
