using System.CommandLine;
using System.Diagnostics;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Migration;
using SharpFuzz;

namespace Cleave.Endurance.Fuzz;

/// <summary>
/// <c>fuzz</c>: coverage-guided, in one process. The program copies itself, instruments the copy's assemblies that read frames, and
/// runs the copy.
/// </summary>
internal static class FuzzCommand
{
    private const string InstrumentedVariable = "CLEAVE_FUZZ_INSTRUMENTED";
    private static readonly string[] s_targets = ["client-frames", "worker-frames", "description", "pairing", "preamble", "worker", "client"];

    public static Command Create()
    {
        var targets = new Option<string[]>("--target") { Description = "What to fuzz (default: all): " + string.Join(", ", s_targets), AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => s_targets };
        targets.AcceptOnlyFromAmong(s_targets);
        var inputs = new Option<long>("--inputs") { Description = "Inputs per target", DefaultValueFactory = _ => 10_000_000 };
        var seconds = new Option<double>("--seconds") { Description = "Most seconds per target", DefaultValueFactory = _ => 86_400 };
        var seed = new Option<int>("--seed") { Description = "Seed of the mutations", DefaultValueFactory = _ => 1 };
        var corpus = new Option<DirectoryInfo>("--corpus") { Description = "Folder of the corpus, one file per target", Required = true };
        var model = new Option<FileInfo>("--model") { Description = "Model for the worker target; the smallest will do", Required = true };
        var findings = new Option<DirectoryInfo>("--findings") { Description = "Folder for inputs that break something", DefaultValueFactory = _ => new DirectoryInfo("findings") };
        var save = new Option<bool>("--save") { Description = "Write the thinned corpus back" };
        var command = new Command("fuzz", "Hostile bytes to every parser, to a whole worker and to a client's session, guided by coverage") { targets, inputs, seconds, seed, corpus, model, findings, save };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (Environment.GetEnvironmentVariable(InstrumentedVariable) is null)
            {
                return await RunInstrumentedAsync(Environment.GetCommandLineArgs()[1..], cancellationToken);
            }

            using var coverage = new CoverageMap();
            int found = 0;
            foreach (string name in parsed.GetValue(targets)!)
            {
                coverage.Forget();
                await using IFuzzTarget target = Target(name, parsed.GetValue(model)!.FullName);
                var run = new FuzzRun(target, coverage, parsed.GetValue(seed));
                string folder = parsed.GetValue(corpus)!.FullName;
                FuzzReport report = run.Run(
                    FuzzCorpus.Load(folder, name), parsed.GetValue(inputs), TimeSpan.FromSeconds(parsed.GetValue(seconds)), parsed.GetValue(findings)!.FullName,
                    Console.Error.WriteLine, cancellationToken);
                found += report.Findings;
                Console.Out.WriteLine(FormattableString.Invariant(
                    $"{report.Target}: {report.Inputs} inputs in {report.Elapsed.TotalSeconds:F0} s, {report.Edges} branches reached ({report.EdgesBefore} by seeds and corpus), {report.Kept} inputs kept, {report.Findings} findings, live heap {Math.Round(report.HeapGrowthBytes / 1048576.0, 1) + 0.0:+0.0;-0.0} MiB"));
                if (parsed.GetValue(save))
                {
                    FuzzCorpus.Save(folder, name, run.Thinned());
                }
            }

            return found == 0 ? 0 : 1;
        });
        return command;
    }

    private static IFuzzTarget Target(string name, string model) => name switch
    {
        "client-frames" => new ParserTarget(name, FrameFuzz.ClientFrames, SeedFrames.Client(1, 2, 4).Select(FrameScript.Encode)),
        "worker-frames" => new ParserTarget(name, FrameFuzz.WorkerFrames, SeedFrames.Worker(4).Select(FrameScript.Encode)),
        "description" => new ParserTarget(name, FrameFuzz.Description, ["{\"minVersion\":1,\"layerStart\":1,\"layerEnd\":2,\"hiddenSize\":4,\"layerHashes\":[\"00\"]}"u8.ToArray()]),
        "pairing" => new ParserTarget(name, FrameFuzz.Pairing, [System.Text.Encoding.UTF8.GetBytes(new Protocol.Pairing.PairingLink("worker.example", 7707, new byte[32], Protocol.Pairing.PairingLink.NewToken()).ToSecretString())]),
        "preamble" => new ParserTarget(name, FrameFuzz.Preamble, SeedPreambles()),
        "worker" => new WorkerTarget(model),
        _ => new ClientTarget(),
    };

    private static IEnumerable<byte[]> SeedPreambles()
    {
        var key = MigrationKey.Create();
        byte[] preamble = new byte[MigrationPreamble.Bytes];
        new MigrationPreamble(key.IdOf(1), 4000, 800).Write(key, 1, preamble);
        byte[] answer = new byte[MigrationPreamble.AnswerBytes];
        MigrationPreamble.WriteAnswer(800, answer);
        return [preamble, answer];
    }

    private static async Task<int> RunInstrumentedAsync(string[] arguments, CancellationToken cancellationToken)
    {
        string copy = Directory.CreateTempSubdirectory("cleave-fuzz-").FullName;
        try
        {
            foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }

            // Whatever hostile bytes reach, less this program's own harness and the numbers' kernels.
            foreach ((string assembly, string space) in new[] { ("Cleave.Protocol.dll", "Cleave.Protocol."), ("cleave-worker.dll", "Cleave.Worker."), ("Cleave.Engine.dll", "Cleave.Engine.Kv"), ("Cleave.Inference.dll", "Cleave.Inference.Sessions.RemoteMiddle") })
            {
                Fuzzer.Instrument(Path.Combine(copy, assembly), name => name.StartsWith(space, StringComparison.Ordinal) && !name.Contains("FrameFuzz", StringComparison.Ordinal), Options.Value);
            }

            var start = new ProcessStartInfo(Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal) ? Environment.ProcessPath : Path.Combine(copy, Path.GetFileName(Environment.ProcessPath!)));
            foreach (string argument in Environment.ProcessPath.EndsWith("dotnet", StringComparison.Ordinal) ? [Path.Combine(copy, "Cleave.Endurance.dll"), .. arguments] : arguments)
            {
                start.ArgumentList.Add(argument);
            }

            start.Environment[InstrumentedVariable] = "1";
            using Process process = Process.Start(start) ?? throw new InvalidOperationException("the instrumented copy could not be started");
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode;
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }
}
