namespace Cleave.Inference.Decoding;

/// <summary>
/// Online suffix automaton (Blumer et al. 1985) over tokens, with the number of occurrences of each state's strings kept
/// up to date as tokens arrive. States are integers; 0 is the empty string.
/// </summary>
internal sealed class SuffixAutomaton
{
    private readonly List<State> _states = [];
    private int _last;

    public SuffixAutomaton() => Clear();

    public void Clear()
    {
        _states.Clear();
        _states.Add(new State(0, -1));
        _last = 0;
    }

    /// <summary>Adds one token to the text.</summary>
    public void Append(int token)
    {
        int added = _states.Count;
        _states.Add(new State(_states[_last].Length + 1, 0));
        int at = _last;
        while (at >= 0 && !_states[at].Next.ContainsKey(token))
        {
            _states[at].Next.Add(token, added);
            at = _states[at].Link;
        }

        if (at >= 0)
        {
            int next = _states[at].Next[token];
            if (_states[at].Length + 1 == _states[next].Length)
            {
                _states[added].Link = next;
            }
            else
            {
                int clone = _states.Count;
                _states.Add(new State(_states[at].Length + 1, _states[next].Link, _states[next].Next) { Occurrences = _states[next].Occurrences });
                while (at >= 0 && _states[at].Next.TryGetValue(token, out int target) && target == next)
                {
                    _states[at].Next[token] = clone;
                    at = _states[at].Link;
                }

                _states[next].Link = clone;
                _states[added].Link = clone;
            }
        }

        _last = added;

        // The new prefix ends here: every suffix of it occurs once more. Chains are short on text; a cap bounds hostile ones.
        int steps = 0;
        for (int state = added; state > 0 && steps < 4096; state = _states[state].Link, steps++)
        {
            _states[state].Occurrences++;
        }
    }

    /// <summary>The longest suffix of the text that occurred before, and its length.</summary>
    public (int State, int Length) LongestRepeatedSuffix()
    {
        int state = Math.Max(0, _states[_last].Link);
        return (state, _states[state].Length);
    }

    /// <summary>The longest suffix of (string at <paramref name="from"/> + token) that occurs in the text.</summary>
    public (int State, int Length) Follow((int State, int Length) from, int token)
    {
        (int state, int length) = from;
        while (state >= 0)
        {
            if (_states[state].Next.TryGetValue(token, out int next))
            {
                return (next, length + 1);
            }

            state = _states[state].Link;
            length = state < 0 ? 0 : _states[state].Length;
        }

        return (0, 0);
    }

    /// <summary>Tokens that followed the state's string, and the states they lead to.</summary>
    public Dictionary<int, int> Followers(int state) => _states[state].Next;

    /// <summary>How often the state's string was followed by anything.</summary>
    public int FollowerTotal(int state)
    {
        int total = 0;
        foreach (int next in _states[state].Next.Values)
        {
            total += _states[next].Occurrences;
        }

        return total;
    }

    public int Occurrences(int state) => _states[state].Occurrences;

    public int Link(int state) => _states[state].Link;

    public int LengthOf(int state) => _states[state].Length;

    private sealed class State
    {
        public State(int length, int link, Dictionary<int, int>? next = null)
        {
            Length = length;
            Link = link;
            Next = next is null ? [] : new Dictionary<int, int>(next);
        }

        public int Length { get; }

        public int Link { get; set; }

        public int Occurrences { get; set; }

        public Dictionary<int, int> Next { get; }
    }
}
