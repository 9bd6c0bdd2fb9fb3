using System.Collections.Concurrent;

namespace Cleave.Worker.Tenants;

/// <summary>One account per tenant that ever showed a valid token; there are no more than tenants.</summary>
internal sealed class TenantAccounts(TenantTable table, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, TenantAccount> _accounts = new(StringComparer.Ordinal);

    /// <summary>The account of an authenticated tenant.</summary>
    public TenantAccount Of(string name) => _accounts.GetOrAdd(name, static (key, state) => new TenantAccount(key, state.table, state.time), (table, time));
}
