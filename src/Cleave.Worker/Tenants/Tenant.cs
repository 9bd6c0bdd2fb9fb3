namespace Cleave.Worker.Tenants;

/// <summary>Someone who may use this worker.</summary>
/// <param name="Name">Letters, digits, '-', '_' and '.', at most 64.</param>
/// <param name="TokenSha256">Lower-case hexadecimal SHA-256 of the token; the token itself is not kept.</param>
/// <param name="Quota">What it may use.</param>
/// <param name="CreatedAt">When the token was issued.</param>
public sealed record Tenant(string Name, string TokenSha256, TenantQuota Quota, DateTimeOffset CreatedAt);
