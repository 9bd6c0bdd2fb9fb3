using Cleave.Inference;
using Cleave.Inference.Privacy.KeepLocal;

namespace Cleave.Cli.Running;

/// <summary>
/// Where a conversation's next answer is computed: over the split, or on this machine alone as long as anything in it matches a rule. The two
/// are sessions apart, so nothing of a kept conversation is sent later; what was sent before it matched, was sent.
/// </summary>
internal sealed class ConversationPlace : IAsyncDisposable
{
    private readonly TextGenerator _split;
    private readonly KeepLocalRules? _rules;
    private readonly Func<TextGenerator> _openLocal;
    private TextGenerator? _local;

    /// <param name="split">The session over the split; the caller's to dispose.</param>
    /// <param name="rules">What is kept, or null.</param>
    /// <param name="openLocal">Opens a session whose every layer runs here.</param>
    public ConversationPlace(TextGenerator split, KeepLocalRules? rules, Func<TextGenerator> openLocal)
    {
        Current = _split = split;
        _rules = rules;
        _openLocal = openLocal;
    }

    /// <summary>The session of the last answer, the split's before the first.</summary>
    public TextGenerator Current { get; private set; }

    /// <summary>The session for a conversation, and the rule that keeps it here, or null.</summary>
    public (TextGenerator Generator, string? Reason) For(IEnumerable<ChatTurn> turns)
    {
        string? reason = _rules?.Reason(turns.Select(static turn => turn.Text));
        Current = reason is null ? _split : _local ??= _openLocal();
        return (Current, reason);
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => _local?.DisposeAsync() ?? ValueTask.CompletedTask;
}
