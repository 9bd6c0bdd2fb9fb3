namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Arguments of a call, evaluated. A callee takes what it knows; what is left over is an error.</summary>
internal sealed class Arguments(string callee, IReadOnlyList<object?> positional, Dictionary<string, object?> named)
{
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private int _positionalTaken;

    public string Callee => callee;

    public int Count => positional.Count;

    /// <summary>Argument <paramref name="index"/>, or the one called <paramref name="name"/>.</summary>
    public bool Try(int index, string name, out object? value)
    {
        _positionalTaken = Math.Max(_positionalTaken, index + 1);
        _taken.Add(name);
        if (index < positional.Count)
        {
            value = positional[index];
            return true;
        }

        return named.TryGetValue(name, out value);
    }

    /// <summary>An argument that is passed by name only.</summary>
    public bool TryNamed(string name, out object? value)
    {
        _taken.Add(name);
        return named.TryGetValue(name, out value);
    }

    public object? Optional(int index, string name, object? fallback = null) => Try(index, name, out object? value) ? value : fallback;

    public object? Required(int index, string name) =>
        Try(index, name, out object? value) ? value : throw new ChatTemplateException($"{callee} needs the argument '{name}'");

    /// <summary>All named arguments, for dict() and namespace().</summary>
    public IReadOnlyDictionary<string, object?> TakeNamed()
    {
        _taken.UnionWith(named.Keys);
        return named;
    }

    /// <summary>The positional arguments from an index on.</summary>
    public IReadOnlyList<object?> TakeRest(int from)
    {
        _positionalTaken = positional.Count;
        return [.. positional.Skip(from)];
    }

    /// <exception cref="ChatTemplateException">An argument was not taken.</exception>
    public void CheckAllTaken()
    {
        if (positional.Count > _positionalTaken)
        {
            throw new ChatTemplateException($"{callee} takes {_positionalTaken} arguments, not {positional.Count}");
        }

        foreach (string name in named.Keys)
        {
            if (!_taken.Contains(name))
            {
                throw new ChatTemplateException($"{callee} has no argument '{name}'");
            }
        }
    }
}
