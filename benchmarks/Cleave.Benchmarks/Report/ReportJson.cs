using System.Text.Json.Serialization;

namespace Cleave.Benchmarks.Report;

/// <summary>The report for scripts.</summary>
/// <param name="Device">Kernel path, threads and fingerprint.</param>
/// <param name="Runtime">The .NET version and platform.</param>
/// <param name="Figures">All figures.</param>
internal sealed record ReportDocument(string Device, string Runtime, IReadOnlyList<Figure> Figures);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ReportDocument))]
internal sealed partial class ReportJson : JsonSerializerContext;
