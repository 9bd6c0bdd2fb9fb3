using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Cleave.EndToEnd.Tests;

/// <summary>A run of the built <c>cleave</c> executable, as a user would start it.</summary>
internal sealed class Cli : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    // Conversations of tests have no place among the user's.
    private static readonly string s_state = Path.Combine(Path.GetTempPath(), $"cleave-tests-{Environment.ProcessId}");

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly Task _reading;

    private Cli(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _error));
    }

    /// <summary>The source tree.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    /// <summary>Where the executables of this build lie.</summary>
    public static string Folder { get; } = Path.Combine(
        RepositoryRoot, "artifacts", "bin", "Cleave.Cli",
        (typeof(Cli).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration ?? "Debug").ToLowerInvariant());

    /// <summary>The bundled model.</summary>
    public static string Model { get; } = Path.Combine(RepositoryRoot, "models", "cleave-demo-24m.q8_0.gguf");

    public int ProcessId => _process.Id;

    public TextWriter Input => _process.StandardInput;

    /// <summary>What it has written to standard output so far.</summary>
    public string Output => TextOf(_output);

    /// <summary>Starts it and leaves it running. Variables given as null are removed.</summary>
    public static Cli Start(IEnumerable<string> arguments, IReadOnlyDictionary<string, string?>? environment = null, string program = "cleave")
    {
        var start = new ProcessStartInfo(Path.Combine(Folder, program), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment.Remove("CLEAVE_WORKER");
        start.Environment["XDG_STATE_HOME"] = s_state;
        foreach ((string name, string? value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        return new Cli(Process.Start(start)!);
    }

    /// <summary>Runs it to its end.</summary>
    public static Task<CliResult> RunAsync(params string[] arguments) => RunAsync(arguments, input: "");

    /// <inheritdoc cref="RunAsync(string[])"/>
    public static async Task<CliResult> RunAsync(string[] arguments, string input, IReadOnlyDictionary<string, string?>? environment = null)
    {
        using Cli cli = Start(arguments, environment);
        await cli.Input.WriteAsync(input);
        cli.Input.Close();
        return await cli.WaitAsync();
    }

    /// <summary>Waits for its end.</summary>
    public async Task<CliResult> WaitAsync()
    {
        using var timeout = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(timeout.Token);
        await _reading.WaitAsync(timeout.Token);
        return new CliResult(_process.ExitCode, TextOf(_output), TextOf(_error));
    }

    /// <summary>Waits until something has been written that <paramref name="text"/> is part of, on either stream.</summary>
    public async Task WaitForAsync(string text)
    {
        using var timeout = new CancellationTokenSource(Patience);
        while (!Contains(text))
        {
            if (_process.HasExited)
            {
                await _reading.WaitAsync(timeout.Token);
                Assert.True(Contains(text), $"'{text}' was never written; exit code {_process.ExitCode}\n{_error}\n{_output}");
            }

            await Task.Delay(20, timeout.Token);
        }
    }

    /// <summary>Sends a signal by name.</summary>
    public void Signal(string name)
    {
        using Process kill = Process.Start("kill", ["-s", name, ProcessId.ToString()]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Sends a signal by name to a process that may have ended by itself.</summary>
    public void SignalIfAlive(string name)
    {
        using Process kill = Process.Start(new ProcessStartInfo("kill", ["-s", name, ProcessId.ToString()]) { RedirectStandardError = true })!;
        kill.WaitForExit();
    }

    /// <summary>Processes whose parent this one is.</summary>
    public int[] Children() => [.. Process.GetProcesses().Select(static process => process.Id).Where(id => ParentOf(id) == ProcessId)];

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    /// <summary>True while a process runs (a zombie does not).</summary>
    public static bool IsAlive(int processId)
    {
        string path = $"/proc/{processId}/stat";
        try
        {
            return File.Exists(path) && !File.ReadAllText(path).Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static int ParentOf(int processId)
    {
        try
        {
            // The second field, the program's name in brackets, may itself hold spaces.
            string stat = File.ReadAllText($"/proc/{processId}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]);
        }
        catch (IOException)
        {
            return -1;
        }
    }

    private static string FindRoot()
    {
        DirectoryInfo? at = new(AppContext.BaseDirectory);
        while (at is not null && !File.Exists(Path.Combine(at.FullName, "Cleave.slnx")))
        {
            at = at.Parent;
        }

        return at?.FullName ?? throw new InvalidOperationException($"no Cleave.slnx above {AppContext.BaseDirectory}");
    }

    private bool Contains(string text) =>
        TextOf(_output).Contains(text, StringComparison.Ordinal) || TextOf(_error).Contains(text, StringComparison.Ordinal);

    private static string TextOf(StringBuilder builder)
    {
        lock (builder)
        {
            return builder.ToString();
        }
    }

    // Pieces as they come: an answer is one line until it ends.
    private static async Task ReadAsync(StreamReader reader, StringBuilder builder)
    {
        char[] buffer = new char[1024];
        while (await reader.ReadAsync(buffer) is var count && count > 0)
        {
            lock (builder)
            {
                builder.Append(buffer, 0, count);
            }
        }
    }
}
