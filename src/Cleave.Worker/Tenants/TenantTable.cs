using System.Security.Cryptography;
using System.Text;

namespace Cleave.Worker.Tenants;

/// <summary>
/// The tenants of a running worker. Tokens are random 256-bit strings, so one SHA-256 is hash enough; a token shown is
/// hashed and compared with every tenant's hash in constant time.
/// </summary>
public sealed class TenantTable
{
    private const int MaxTokenLength = 256;

    private volatile Entry[] _entries = [];

    /// <summary>Raised, with the tenant's name, after a tenant was removed.</summary>
    public event Action<string>? Revoked;

    /// <summary>The tenants.</summary>
    public IReadOnlyList<Tenant> Tenants => [.. _entries.Select(e => e.Tenant)];

    /// <summary>Lower-case hexadecimal SHA-256 of a token, as kept at rest.</summary>
    public static string HashToken(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    /// <summary>Puts <paramref name="tenants"/> in place of what was there.</summary>
    public void Replace(IEnumerable<Tenant> tenants)
    {
        Entry[] before = _entries;
        Entry[] after = [.. tenants.Select(t => new Entry(t, Convert.FromHexString(t.TokenSha256)))];
        _entries = after;
        foreach (Entry old in before)
        {
            // A new token for the same name ends what the old one opened, too.
            if (!after.Any(e => e.Tenant.Name == old.Tenant.Name && e.Tenant.TokenSha256 == old.Tenant.TokenSha256))
            {
                Revoked?.Invoke(old.Tenant.Name);
            }
        }
    }

    /// <summary>The name of the tenant with this token, or null.</summary>
    public string? Authenticate(string? token)
    {
        if (token is null || token.Length > MaxTokenLength)
        {
            return null;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(token), hash);
        string? name = null;
        foreach (Entry entry in _entries)
        {
            // No early exit: the time says nothing about which entry matched.
            if (CryptographicOperations.FixedTimeEquals(hash, entry.TokenHash))
            {
                name = entry.Tenant.Name;
            }
        }

        return name;
    }

    /// <summary>A tenant's quota; the default one for a name that is not here (in-process links).</summary>
    public TenantQuota QuotaOf(string name)
    {
        foreach (Entry entry in _entries)
        {
            if (entry.Tenant.Name == name)
            {
                return entry.Tenant.Quota;
            }
        }

        return new TenantQuota();
    }

    private sealed record Entry(Tenant Tenant, byte[] TokenHash);
}
