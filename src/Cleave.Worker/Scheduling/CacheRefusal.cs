using Cleave.Engine;
using Cleave.Protocol;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>What a step is told that its session's cache did not take: positions and counts, never content.</summary>
internal static class CacheRefusal
{
    /// <param name="cache">The session's.</param>
    /// <param name="step">The step.</param>
    /// <param name="outcome">What the cache said.</param>
    /// <param name="capacity">KV tokens of the worker.</param>
    /// <param name="context">Positions of the model.</param>
    /// <param name="retryAfterMs">When there may be room again.</param>
    public static WireError For(KvCache cache, PendingStep step, CacheOutcome outcome, int capacity, int context, int retryAfterMs)
    {
        int i = outcome.Index;
        return outcome.Fault switch
        {
            CacheFault.IdOutOfOrder => new WireError(WireErrorCode.OutOfOrder, $"Row {i} of step {step.Seq} has id {step.Rows[i].Id}; ids up to {cache.LastId} were used."),
            CacheFault.UnknownParent => new WireError(WireErrorCode.UnknownParent, $"Row {i} of step {step.Seq} has parent {step.Rows[i].ParentId}, which was never sent."),
            CacheFault.UnknownRow => new WireError(WireErrorCode.UnknownRow, $"Kept id {i} of step {step.Seq} is {step.Keep[i]}, which is not a live row."),
            CacheFault.NotAChain => new WireError(WireErrorCode.UnknownRow, $"Kept id {i} of step {step.Seq} is {step.Keep[i]}, which does not continue the chain."),
            CacheFault.OverSessionLimit => new WireError(WireErrorCode.QuotaExceeded, $"Step {step.Seq} has {step.Rows.Length} rows and the session room for {i} of its {cache.MaxTokens} KV tokens."),
            CacheFault.PastContext => new WireError(WireErrorCode.QuotaExceeded, $"Row {i} of step {step.Seq} is past the model's context of {context} positions."),
            CacheFault.PoolExhausted => new WireError(WireErrorCode.Busy, $"Step {step.Seq} needs {step.Rows.Length} KV tokens and all {capacity} of the worker are in use.", RetryAfterMs: retryAfterMs),
            _ => throw new InvalidOperationException($"No wire error for {outcome.Fault}."),
        };
    }
}
