using Cleave.Inference.Sampling;

namespace Cleave.Gateway.Grammar;

/// <summary>Lets only such tokens through as can still lead to a text of the grammar, and the end of the turn once the text is complete.</summary>
internal sealed class GrammarMask : ITokenMask
{
    private readonly GrammarMachine _machine;
    private readonly GrammarState _state;
    private readonly Func<int, ReadOnlyMemory<byte>> _tokenBytes;

    /// <param name="machine">The grammar.</param>
    /// <param name="tokenBytes">Bytes of a token.</param>
    public GrammarMask(GrammarMachine machine, Func<int, ReadOnlyMemory<byte>> tokenBytes)
        : this(machine, machine.Start, tokenBytes)
    {
    }

    private GrammarMask(GrammarMachine machine, GrammarState state, Func<int, ReadOnlyMemory<byte>> tokenBytes)
    {
        _machine = machine;
        _state = state;
        _tokenBytes = tokenBytes;
    }

    /// <inheritdoc />
    public void Apply(Span<float> logits)
    {
        ulong[] allowed = _machine.Allowed(_state);
        for (int word = 0; word < allowed.Length; word++)
        {
            ulong bits = allowed[word];
            if (bits == ulong.MaxValue)
            {
                continue;
            }

            Span<float> stretch = logits.Slice(word << 6, Math.Min(64, logits.Length - (word << 6)));
            if (bits == 0)
            {
                stretch.Fill(float.NegativeInfinity);
                continue;
            }

            for (int i = 0; i < stretch.Length; i++)
            {
                if ((bits >> i & 1) == 0)
                {
                    stretch[i] = float.NegativeInfinity;
                }
            }
        }
    }

    /// <inheritdoc />
    public bool Allows(int token) =>
        (uint)token >= (uint)_machine.VocabularySize ? false
        : _state.Allowed is { } allowed ? (allowed[token >> 6] >> (token & 63) & 1) != 0
        : _machine.EndIds.Contains(token) ? _state.Accepts

        // A drafter asks about few tokens: their bytes are walked, not the vocabulary.
        : _machine.IsText(token) && !ReferenceEquals(_machine.Run(_state, _tokenBytes(token).Span), _machine.Dead);

    /// <inheritdoc />
    public ITokenMask Next(int token) =>
        _machine.EndIds.Contains(token) ? this : new GrammarMask(_machine, _machine.Run(_state, _tokenBytes(token).Span), _tokenBytes);
}
