using System.Collections.Concurrent;

namespace Cleave.Worker.Tenants;

/// <summary>One account per tenant that ever showed a valid token; there are no more than tenants. A new token is a new account.</summary>
internal sealed class TenantAccounts(TenantTable table, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, TenantAccount> _accounts = new(StringComparer.Ordinal);

    /// <summary>The account of an authenticated tenant.</summary>
    public TenantAccount Of(string name) => _accounts.GetOrAdd(name, static (key, state) => new TenantAccount(key, state.table, state.time), (table, time));

    /// <summary>The account of the tenant with this token, or null.</summary>
    public TenantAccount? Authenticate(string? token)
    {
        if (table.Authenticate(token) is not { } name)
        {
            return null;
        }

        // Asked again: a token that became void before its account was at hand to be revoked with it would open sessions after all.
        TenantAccount account = Of(name);
        return table.Authenticate(token) == name ? account : null;
    }

    /// <summary>The token of a tenant is void. Its account, which nobody is given any more; null when it had none.</summary>
    public TenantAccount? Revoke(string name)
    {
        if (!_accounts.TryRemove(name, out TenantAccount? account))
        {
            return null;
        }

        account.Revoke();
        return account;
    }
}
