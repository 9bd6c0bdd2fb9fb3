using Cleave.Worker.Sessions;

namespace Cleave.Worker.Tenants;

/// <summary>What a tenant uses now. Counters are changed by the owners named.</summary>
internal sealed class TenantAccount(string name, TenantTable table, TimeProvider time)
{
    private int _streams;
    private int _connections;
    private int _kvTokens;
    private volatile bool _isRevoked;

    public string Name { get; } = name;

    /// <summary>True once its token is void: whoever was let in by it opens no session any more.</summary>
    public bool IsRevoked => _isRevoked;

    /// <summary>Looked up each time: quotas change while the worker runs.</summary>
    public TenantQuota Quota => table.QuotaOf(Name);

    /// <summary>Rows held in the caches of its sessions; changed by the compute loop.</summary>
    public int KvTokens => Volatile.Read(ref _kvTokens);

    /// <summary>Its share of compute; owned by <see cref="Scheduling.FairQueue"/>.</summary>
    public RowBucket Bucket { get; } = new(time);

    /// <summary>Rows served so far, in the queue's sense of fairness; owned by the queue.</summary>
    public long Service { get; set; }

    /// <summary>Sessions with queued frames; owned by the queue.</summary>
    public List<WorkerSession> Waiting { get; } = [];

    /// <summary>Sessions in the table; owned by <see cref="SessionTable"/>.</summary>
    public int Sessions { get; set; }

    public void Revoke() => _isRevoked = true;

    public void ChangeKvTokens(int by) => Interlocked.Add(ref _kvTokens, by);

    public bool TryEnterStream() => TryEnter(ref _streams, Quota.Streams);

    public void LeaveStream() => Interlocked.Decrement(ref _streams);

    public bool TryEnterConnection() => TryEnter(ref _connections, Quota.Connections);

    public void LeaveConnection() => Interlocked.Decrement(ref _connections);

    private static bool TryEnter(ref int count, int most)
    {
        if (Interlocked.Increment(ref count) <= most)
        {
            return true;
        }

        Interlocked.Decrement(ref count);
        return false;
    }
}
