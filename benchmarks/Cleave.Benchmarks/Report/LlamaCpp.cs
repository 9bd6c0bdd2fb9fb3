using System.Diagnostics;
using System.Text.Json;

namespace Cleave.Benchmarks.Report;

/// <summary>llama.cpp in a process of its own (benchmarks/llama.cpp/server.mjs), idle unless asked.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private readonly Process _process;

    /// <param name="folder">Where `npm install node-llama-cpp` was run.</param>
    /// <param name="script">server.mjs.</param>
    /// <param name="model">GGUF file.</param>
    /// <param name="threads">Threads to compute with.</param>
    public LlamaCpp(string folder, string script, string model, int threads)
    {
        var start = new ProcessStartInfo("node", [script, model, threads.ToString(System.Globalization.CultureInfo.InvariantCulture)])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start) ?? throw new InvalidOperationException("node could not be started");
        Release = Read().GetProperty("release").GetString()!;
    }

    /// <summary>llama.cpp's release, as node-llama-cpp names it.</summary>
    public string Release { get; }

    /// <summary>Seconds that so many greedy tokens take.</summary>
    public double Decode(int tokens) => Ask($"decode {tokens}");

    /// <summary>Seconds that a prompt of so many tokens takes.</summary>
    public double Prefill(int tokens) => Ask($"prefill {tokens}");

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private double Ask(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        return Read().GetProperty("seconds").GetDouble();
    }

    private JsonElement Read() => JsonDocument.Parse(
        _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("llama.cpp's process ended; run server.mjs by hand to see why")).RootElement;
}
