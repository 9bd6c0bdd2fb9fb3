using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Cleave.Cli.Benchmarking;
using Cleave.Cli.Planning;
using Cleave.Cli.Running;

namespace Cleave.Cli.Reports;

/// <summary>Serialisation of everything the commands print as JSON.</summary>
[JsonSerializable(typeof(RunReport))]
[JsonSerializable(typeof(InspectReport))]
[JsonSerializable(typeof(IReadOnlyList<DeviceReport>))]
[JsonSerializable(typeof(VerifyReport))]
[JsonSerializable(typeof(ModelReport[]))]
[JsonSerializable(typeof(BenchReport))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(JsonStep))]
[JsonSerializable(typeof(StoredChat))]
[JsonSerializable(typeof(IReadOnlyList<BenchPrompt>))]
[JsonSerializable(typeof(string))]
internal sealed partial class ReportJson : JsonSerializerContext
{
    /// <summary>One object on one line; text as it is, not escaped to ASCII.</summary>
    public static ReportJson Output { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
