namespace Cleave.Tokenization;

/// <summary>Finds the longest special token that starts at a place of a text, in time bound by the token's length.</summary>
internal sealed class SpecialTokenTrie
{
    private readonly Node _root = new();

    public void Add(string token, int id, bool always)
    {
        Node node = _root;
        foreach (char c in token)
        {
            if (!node.Next.TryGetValue(c, out Node? next))
            {
                node.Next.Add(c, next = new Node());
            }

            node = next;
        }

        node.Id = id;
        node.Always = always;
    }

    /// <summary>The id and length of the longest match at <paramref name="at"/>; a control token must end by <paramref name="controlEnd"/>.</summary>
    public (int Id, int Length)? Match(string text, int at, int controlEnd)
    {
        (int, int)? best = null;
        Node node = _root;
        for (int i = at; i < text.Length && node.Next.TryGetValue(text[i], out Node? next); i++)
        {
            node = next;
            if (node.Id >= 0 && (node.Always || i < controlEnd))
            {
                best = (node.Id, i + 1 - at);
            }
        }

        return best;
    }

    private sealed class Node
    {
        public Dictionary<char, Node> Next { get; } = [];

        public int Id { get; set; } = -1;

        public bool Always { get; set; }
    }
}
