using System.Text.Json.Serialization;

namespace Cleave.PrivacyLab.Report;

/// <summary>Serialisation of reports.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(PrivacyReport))]
[JsonSerializable(typeof(Study.StudyTable))]
[JsonSerializable(typeof(IReadOnlyList<Study.StudyTable>))]
public sealed partial class PrivacyReportJson : JsonSerializerContext;
