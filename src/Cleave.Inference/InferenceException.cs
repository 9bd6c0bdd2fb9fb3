using Cleave.Engine;

namespace Cleave.Inference;

/// <summary>A request cannot be carried out; the message says why and what to change.</summary>
public sealed class InferenceException : Exception
{
    public InferenceException(string message)
        : base(message)
    {
    }

    public InferenceException(string message, Exception inner)
        : base(message, inner)
    {
    }

    internal static InferenceException For(CacheOutcome outcome, KvCache cache, int contextLength) => new(outcome.Fault switch
    {
        CacheFault.PastContext => $"the conversation is longer than the model's context of {contextLength} tokens; shorten it or start a new one",
        CacheFault.OverSessionLimit => $"the conversation needs more than its {cache.MaxTokens} cache rows; open the session with a larger limit",
        CacheFault.PoolExhausted => "no cache memory is left on this machine for another row; close other conversations or raise the cache size",
        _ => $"the session's operation log is broken ({outcome.Fault} at {outcome.Index}, {outcome.Dropped} dropped)",
    });
}
