using System.Text.Json;
using Cleave.Inference.Sampling;
using Cleave.Tokenization;

namespace Cleave.Gateway.Grammar;

/// <summary>The grammars of one tokenizer: any object, and the schemas used lately, with what their machines have learnt.</summary>
internal sealed class JsonGrammars(Tokenizer tokenizer)
{
    private const int MaxSchemas = 16;
    private readonly Lock _lock = new();
    private readonly Lazy<TokenTrie> _trie = new(() => new TokenTrie(tokenizer));
    private readonly LinkedList<(string Schema, GrammarMachine Machine)> _recent = new();
    private GrammarMachine? _object;

    /// <summary>Any JSON object.</summary>
    public ITokenMask Object()
    {
        lock (_lock)
        {
            return Mask(_object ??= JsonGrammar.AnyObject(_trie.Value));
        }
    }

    /// <summary>What satisfies a schema.</summary>
    /// <exception cref="GrammarException">The schema cannot be enforced.</exception>
    public ITokenMask Schema(JsonElement schema)
    {
        string text = schema.GetRawText();
        lock (_lock)
        {
            for (LinkedListNode<(string Schema, GrammarMachine Machine)>? node = _recent.First; node is not null; node = node.Next)
            {
                if (node.Value.Schema == text)
                {
                    _recent.Remove(node);
                    _recent.AddFirst(node);
                    return Mask(node.Value.Machine);
                }
            }

            GrammarMachine machine = SchemaCompiler.Compile(schema, _trie.Value);
            _recent.AddFirst((text, machine));
            if (_recent.Count > MaxSchemas)
            {
                _recent.RemoveLast();
            }

            return Mask(machine);
        }
    }

    private GrammarMask Mask(GrammarMachine machine) => new(machine, tokenizer.TokenBytes);
}
