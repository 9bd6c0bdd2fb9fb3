using System.Text.Json.Serialization;

namespace Cleave.Gateway.OpenAi;

/// <summary>OpenAI's error object; all four fields are always there.</summary>
internal sealed record ApiError(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string Message,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);

/// <summary>Its envelope.</summary>
internal sealed record ApiErrorBody(ApiError Error);
