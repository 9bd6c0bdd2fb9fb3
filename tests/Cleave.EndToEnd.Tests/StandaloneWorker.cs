using Cleave.Protocol.Pairing;

namespace Cleave.EndToEnd.Tests;

/// <summary>A worker process started by hand, as its operator would.</summary>
internal sealed class StandaloneWorker : IDisposable
{
    private readonly string[] _what;
    private readonly IReadOnlyDictionary<string, string?>? _environment;
    private Cli _process;
    private readonly string _folder;

    private StandaloneWorker(Cli process, string folder, string[] what, IReadOnlyDictionary<string, string?>? environment)
    {
        _environment = environment;
        _process = process;
        _folder = folder;
        _what = what;
    }

    public string LinkFile => Path.Combine(_folder, "worker.link");

    public int ProcessId => _process.ProcessId;

    public PairingLink Link => PairingLink.Parse(File.ReadAllText(LinkFile).Trim());

    /// <summary>Starts one and waits for its link.</summary>
    public static Task<StandaloneWorker> StartAsync(string model, string layers) => StartAsync(["--model", model, "--layers", layers]);

    /// <summary>Starts one with arguments that say what it serves.</summary>
    public static async Task<StandaloneWorker> StartAsync(string[] serves, IReadOnlyDictionary<string, string?>? environment = null)
    {
        string folder = Directory.CreateTempSubdirectory("cleave-test-").FullName;
        var worker = new StandaloneWorker(Start(folder, serves, environment, port: 0), folder, serves, environment);
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
        _process = Start(_folder, _what, _environment, Link.Port);
        await _process.WaitForAsync("The pairing link is in");
    }

    /// <summary>Waits until it has written something, which takes --verbose for what happens to sessions.</summary>
    public Task WaitForAsync(string text) => _process.WaitForAsync(text);

    /// <summary>Ends it as a crash or the system would.</summary>
    public void Kill() => _process.Signal("KILL");

    public void Dispose()
    {
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static Cli Start(string folder, string[] what, IReadOnlyDictionary<string, string?>? environment, int port) => Cli.Start(
        [.. what, "--listen", $"127.0.0.1:{port}", "--key-dir", Path.Combine(folder, "key"), "--link-file", Path.Combine(folder, "worker.link"), "--exit-with-parent"],
        environment,
        program: Path.Combine("worker", "cleave-worker"));
}
