namespace Cleave.Gateway.OpenAi;

/// <summary>The answer to /health.</summary>
/// <param name="Status">"ok", or "degraded" when the worker cannot be reached.</param>
/// <param name="Detail">Why it is degraded.</param>
internal sealed record HealthReport(string Status, string? Detail = null);
