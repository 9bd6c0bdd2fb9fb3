namespace Cleave.Tokenization.Bpe;

/// <summary>
/// Byte-pair merging in n log n: a heap of candidate pairs, best first and leftmost among equals, over a linked list of
/// symbols. Pairs a merge has made stale are recognised when they come up.
/// </summary>
internal static class MergeLoop
{
    /// <summary>What two neighbouring symbols merge into, and how good that is (lower is better).</summary>
    public delegate bool Candidate(int left, int right, out double rank, out int merged);

    /// <summary>Merges <paramref name="symbols"/> until nothing merges, and adds what is left to <paramref name="output"/>.</summary>
    public static void Run(ReadOnlySpan<int> symbols, Candidate candidate, List<int> output)
    {
        int count = symbols.Length;
        int[] ids = symbols.ToArray();
        var next = new int[count];
        var previous = new int[count];
        var heap = new PriorityQueue<(int Left, int Right, int LeftId, int RightId, int Merged), (double Rank, int Left)>();
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
        }

        for (int i = 0; i + 1 < count; i++)
        {
            Offer(i, i + 1);
        }

        while (heap.TryDequeue(out (int Left, int Right, int LeftId, int RightId, int Merged) pair, out _))
        {
            // Dead symbols have id -1; a pair is stale when either side has merged since.
            if (ids[pair.Left] != pair.LeftId || ids[pair.Right] != pair.RightId || next[pair.Left] != pair.Right)
            {
                continue;
            }

            ids[pair.Left] = pair.Merged;
            ids[pair.Right] = -1;
            int after = next[pair.Right];
            next[pair.Left] = after;
            if (after < count)
            {
                previous[after] = pair.Left;
                Offer(pair.Left, after);
            }

            if (previous[pair.Left] >= 0)
            {
                Offer(previous[pair.Left], pair.Left);
            }
        }

        for (int i = 0; i < count; i = next[i])
        {
            output.Add(ids[i]);
        }

        void Offer(int left, int right)
        {
            if (candidate(ids[left], ids[right], out double rank, out int merged))
            {
                heap.Enqueue((left, right, ids[left], ids[right], merged), (rank, left));
            }
        }
    }
}
