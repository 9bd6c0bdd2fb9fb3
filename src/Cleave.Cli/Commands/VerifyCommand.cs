using System.CommandLine;
using System.Text.Json;
using Cleave.Cli.Arguments;
using Cleave.Cli.Reports;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Inference.Verification;
using Cleave.Models;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave verify</c>: this machine's computation of a model against a reference's.</summary>
internal sealed class VerifyCommand : TaughtCommand
{
    private readonly ModelArgument _model = new();
    private readonly WeightsArgument _weights = new() { Description = "q8: quantise when loading; the errors are then quantisation's, past the tolerance. packed: BF16 in three quarters of its bytes on a CPU; the errors are those of stored" };
    private readonly Option<string> _golden = new("--golden")
    {
        HelpName = "FILE",
        Description = "Reference activations (safetensors: input_ids, layer_k, logits, greedy_prompt, greedy_output)",
        Required = true,
    };

    private readonly DeviceArgument _device = new("--device", $"Where to compute: {DeviceSelector.Syntax} (default: cpu)");
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object" };

    public VerifyCommand()
        : base("verify", "Compare every layer, the logits and a greedy continuation with a reference implementation's")
    {
        Options.Add(_model);
        Options.Add(_weights);
        Options.Add(_golden);
        Options.Add(_device);
        Options.Add(_json);
        SetAction(Run);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave verify --model DIR --golden DIR/golden.safetensors", "a checkpoint against activations of Hugging Face transformers"),
        ("cleave verify --model DIR --golden DIR/golden.safetensors --weights q8 --json", "what quantising when loading costs, layer by layer"),
    ];

    private int Run(ParseResult parsed)
    {
        using IModelSource source = ModelSource.Open(_model.Path(parsed), parsed.GetValue(_weights));
        ReferenceActivations reference = ReferenceActivations.Open(parsed.GetValue(_golden)!);
        var request = new DeviceRequest
        {
            Name = parsed.GetValue(_device) ?? "cpu",
            PackBF16 = WeightPacking.Applies(source, parsed.GetValue(_weights), Console.Error.WriteLine),
        };
        using IComputeDevice device = DeviceSelector.Open(request, Console.Error.WriteLine);
        int tokens = Math.Max(reference.InputIds.Count, (reference.GreedyPrompt?.Count ?? 0) + (reference.GreedyOutput?.Count ?? 0));
        using var verifier = new ModelVerifier(device, source, tokens);
        VerifyReport report = VerifyReport.Of(source.Path, verifier.Compare(reference));
        if (parsed.GetValue(_json))
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(report, ReportJson.Output.VerifyReport));
        }
        else
        {
            Show(report);
        }

        return report.Passed ? ExitCode.Success : ExitCode.Mismatch;
    }

    private static void Show(VerifyReport report)
    {
        void Line(string name, FormattableString value) => Console.WriteLine(FormattableString.Invariant($"{name,-10} {FormattableString.Invariant(value)}"));
        for (int layer = 0; layer < report.Layers.Count; layer++)
        {
            if (report.Layers[layer] is { } error)
            {
                Line($"layer {layer}", $"{error:E2}");
            }
        }

        if (report.LogitsRelativeError is { } logits)
        {
            Line("logits", $"{logits:E2}");
        }

        if (report.GreedyLength is { } length)
        {
            Line("greedy", $"{report.GreedyEqualUntil} of {length} equal; near-tie at {report.GreedyComparable}");
        }

        Line(report.Passed ? "passed" : "FAILED", $"worst layer {report.MaxRelativeError:E2}, tolerance {report.Tolerance:E0}, max|a-b| / max|b|");
    }
}
