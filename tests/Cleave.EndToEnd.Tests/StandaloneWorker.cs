using Cleave.Protocol.Pairing;

namespace Cleave.EndToEnd.Tests;

/// <summary>A worker process started by hand, as its operator would.</summary>
internal sealed class StandaloneWorker : IDisposable
{
    private readonly Cli _process;
    private readonly string _folder;

    private StandaloneWorker(Cli process, string folder)
    {
        _process = process;
        _folder = folder;
    }

    public string LinkFile => Path.Combine(_folder, "worker.link");

    public PairingLink Link => PairingLink.Parse(File.ReadAllText(LinkFile).Trim());

    /// <summary>Starts one and waits for its link.</summary>
    public static async Task<StandaloneWorker> StartAsync(string model, string layers)
    {
        string folder = Directory.CreateTempSubdirectory("cleave-test-").FullName;
        Cli process = Cli.Start(
            ["--model", model, "--layers", layers, "--listen", "127.0.0.1:0", "--key-dir", Path.Combine(folder, "key"), "--link-file", Path.Combine(folder, "worker.link"), "--exit-with-parent"],
            program: Path.Combine("worker", "cleave-worker"));
        var worker = new StandaloneWorker(process, folder);
        try
        {
            await process.WaitForAsync("The pairing link is in");
            return worker;
        }
        catch
        {
            worker.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
