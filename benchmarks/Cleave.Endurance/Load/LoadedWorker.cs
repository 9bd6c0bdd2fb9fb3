using System.Diagnostics;
using System.Globalization;
using Cleave.Protocol.Pairing;

namespace Cleave.Endurance.Load;

/// <summary>A <c>cleave-worker</c> process with tenants, and what the system says of it.</summary>
internal sealed class LoadedWorker : IAsyncDisposable
{
    private static readonly string s_program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "cleave-worker.exe" : "cleave-worker");

    private readonly Process _process;
    private readonly string _directory;

    private LoadedWorker(Process process, string directory)
    {
        _process = process;
        _directory = directory;
    }

    /// <summary>One pairing link per tenant.</summary>
    public IReadOnlyList<PairingLink> Links { get; private set; } = [];

    /// <summary>The worker's process id.</summary>
    public int ProcessId => _process.Id;

    /// <summary>True while it runs.</summary>
    public bool IsAlive => !_process.HasExited;

    /// <summary>Starts a worker and gives it tenants.</summary>
    public static async Task<LoadedWorker> StartAsync(string model, string layers, int tenants, CancellationToken cancellationToken)
    {
        string directory = Directory.CreateTempSubdirectory("cleave-load-").FullName;
        Process process = Start(["--model", model, "--layers", layers, "--listen", "127.0.0.1:0", "--key-dir", directory, "--exit-with-parent"]);
        var worker = new LoadedWorker(process, directory);
        try
        {
            PairingLink own = PairingLink.Parse(await process.StandardOutput.ReadLineAsync(cancellationToken)
                ?? throw new InvalidOperationException("the worker did not start; see its message above"));
            var links = new List<PairingLink>();
            for (int tenant = 0; tenant < tenants; tenant++)
            {
                using Process add = Start(["tenants", "add", $"tenant-{tenant}", "--address", own.Address, "--sessions", "64", "--streams", "64", "--key-dir", directory]);
                links.Add(PairingLink.Parse((await add.StandardOutput.ReadToEndAsync(cancellationToken)).Trim()));
                await add.WaitForExitAsync(cancellationToken);
            }

            worker.Links = links;
            return worker;
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
    }

    /// <summary>Resident bytes, descriptors and threads of a process now.</summary>
    public static (long ResidentBytes, int Descriptors, int Threads) Read(int processId)
    {
        long resident = 0;
        int threads = 0;
        foreach (string line in File.ReadLines($"/proc/{processId}/status"))
        {
            string[] parts = line.Split((char[])[':', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            switch (parts[0])
            {
                case "VmRSS":
                    resident = 1024 * long.Parse(parts[1], CultureInfo.InvariantCulture);
                    break;
                case "Threads":
                    threads = int.Parse(parts[1], CultureInfo.InvariantCulture);
                    break;
            }
        }

        return (resident, Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").Count(), threads);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // The end of its standard input is what a worker of our own leaves at.
            _process.StandardInput.Close();
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(15));
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
            }
        }

        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static Process Start(string[] arguments)
    {
        var start = new ProcessStartInfo(s_program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        return Process.Start(start) ?? throw new InvalidOperationException($"{s_program} could not be started");
    }
}
