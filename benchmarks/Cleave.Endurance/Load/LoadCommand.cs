using System.CommandLine;
using System.Globalization;

namespace Cleave.Endurance.Load;

/// <summary><c>load</c>: many sessions of several tenants on one worker while their links are cut at random.</summary>
internal static class LoadCommand
{
    public static Command Create()
    {
        var minutes = new Option<double>("--minutes") { Description = "How long", DefaultValueFactory = _ => 30 };
        var sessions = new Option<int>("--sessions") { Description = "Sessions at once", DefaultValueFactory = _ => 64 };
        var tenants = new Option<int>("--tenants") { Description = "Tenants they belong to", DefaultValueFactory = _ => 8 };
        var cuts = new Option<double>("--cut-every") { Description = "Mean seconds between two cuts", DefaultValueFactory = _ => 3 };
        var seed = new Option<int>("--seed") { Description = "Seed of the cuts", DefaultValueFactory = _ => 1 };
        var model = new Option<FileInfo>("--model") { Description = "Model file (a GGUF with its tokenizer)", Required = true };
        var output = new Option<FileInfo?>("--out") { Description = "Write the report here, and the memory readings beside it as .csv" };
        var command = new Command("load", "64 sessions of 8 tenants, links cut at random: outputs, fairness, memory, descriptors") { minutes, sessions, tenants, cuts, seed, model, output };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new LoadOptions
            {
                Duration = TimeSpan.FromMinutes(parsed.GetValue(minutes)),
                Sessions = parsed.GetValue(sessions),
                Tenants = parsed.GetValue(tenants),
                MeanCutInterval = TimeSpan.FromSeconds(parsed.GetValue(cuts)),
                SampleInterval = TimeSpan.FromMinutes(parsed.GetValue(minutes)) < TimeSpan.FromMinutes(5) ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(5),
                Seed = parsed.GetValue(seed),
                Model = parsed.GetValue(model)!.FullName,
                Out = parsed.GetValue(output)?.FullName,
            };
            LoadReport report = await new LoadRun(options, say => Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss} {say}"))).RunAsync(cancellationToken);
            string text = report.ToMarkdown();
            Console.Out.Write(text);
            if (options.Out is { } path)
            {
                await File.WriteAllTextAsync(path, text, cancellationToken);
            }

            return report.Verdicts().All(static verdict => verdict.Held) ? 0 : 1;
        });
        return command;
    }
}
