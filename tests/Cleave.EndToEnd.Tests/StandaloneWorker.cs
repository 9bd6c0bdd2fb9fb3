using Cleave.Protocol.Pairing;

namespace Cleave.EndToEnd.Tests;

/// <summary>A worker process started by hand, as its operator would.</summary>
internal sealed class StandaloneWorker : IDisposable
{
    private readonly string[] _what;
    private Cli _process;
    private readonly string _folder;

    private StandaloneWorker(Cli process, string folder, string[] what)
    {
        _process = process;
        _folder = folder;
        _what = what;
    }

    public string LinkFile => Path.Combine(_folder, "worker.link");

    public PairingLink Link => PairingLink.Parse(File.ReadAllText(LinkFile).Trim());

    /// <summary>Starts one and waits for its link.</summary>
    public static async Task<StandaloneWorker> StartAsync(string model, string layers)
    {
        string folder = Directory.CreateTempSubdirectory("cleave-test-").FullName;
        string[] what = ["--model", model, "--layers", layers];
        var worker = new StandaloneWorker(Start(folder, what, port: 0), folder, what);
        try
        {
            await worker._process.WaitForAsync("The pairing link is in");
            return worker;
        }
        catch
        {
            worker.Dispose();
            throw;
        }
    }

    /// <summary>Starts it again after it ended, with its key, token and port.</summary>
    public async Task RestartAsync()
    {
        await _process.WaitAsync();
        _process.Dispose();
        _process = Start(_folder, _what, Link.Port);
        await _process.WaitForAsync("The pairing link is in");
    }

    /// <summary>Ends it as a crash or the system would.</summary>
    public void Kill() => _process.Signal("KILL");

    public void Dispose()
    {
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static Cli Start(string folder, string[] what, int port) => Cli.Start(
        [.. what, "--listen", $"127.0.0.1:{port}", "--key-dir", Path.Combine(folder, "key"), "--link-file", Path.Combine(folder, "worker.link"), "--exit-with-parent"],
        program: Path.Combine("worker", "cleave-worker"));
}
