using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Attention of a few rows over one key head: for each block of 64 positions, scores, running softmax, weighted values.
/// <list type="number">
/// <item>Gather the queries of the rows' heads that share the key head.</item>
/// <item>For each block, in ascending order: rows that read it through the same table go together, over keys and values that
/// stay in the first-level cache; rows that have it in their tails, or see it in part, go one by one.</item>
/// <item>Divide by the softmax's sum.</item>
/// </list>
/// A query's arithmetic is the same either way, so how rows are grouped changes no bit.
/// </summary>
internal sealed unsafe class AttentionJob(KernelSet kernels, WorkerScratch scratch) : ParallelJob
{
    private const int Block = KernelSet.BlockPositions;

    /// <summary>Queries (rows times heads of a group) that one item takes: their state fits the second-level cache.</summary>
    private const int MostQueries = 48;

    private AttentionPlan _plan = null!;
    private CpuKvArena _arena = null!;
    private AttentionShape _shape;
    private int* _tables;
    private int* _tails;
    private byte* _keys;
    private byte* _values;
    private float* _q;
    private long _qStride;
    private float* _y;
    private long _yStride;
    private int _rows;
    private int _paddedDim;
    private int _headsPerItem;
    private int _rowsPerItem;
    private int _headItems;
    private bool _inPlace;

    /// <summary>Computes y for all rows of the plan.</summary>
    public void Run(ThreadTeam team, float* q, long qStride, CpuKvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, float* y, long yStride)
    {
        _plan = plan;
        _arena = arena;
        _shape = shape;
        _keys = arena.Keys(layer);
        _values = arena.Values(layer);
        _q = q;
        _qStride = qStride;
        _y = y;
        _yStride = yStride;
        _rows = plan.Rows.Length;
        _paddedDim = (shape.HeadDim + 15) & ~15;
        _inPlace = arena.Type == ElementType.F32 && _paddedDim == shape.HeadDim;
        Divide(team.Size);
        scratch.Reserve(Layout.Bytes(_rowsPerItem * _headsPerItem, _paddedDim));
        fixed (int* tables = plan.Tables)
        fixed (int* tails = plan.Tails)
        {
            _tables = tables;
            _tails = tails;
            team.Run(this, _headItems * ((_rows + _rowsPerItem - 1) / _rowsPerItem));
        }
    }

    /// <inheritdoc />
    public override void Run(int item, int worker)
    {
        int group = _shape.Heads / _shape.KvHeads;
        int parts = _headItems / _shape.KvHeads;
        int headItem = item % _headItems;
        int kvHead = headItem / parts;
        int firstHead = (kvHead * group) + (headItem % parts * _headsPerItem);
        int heads = Math.Min(_headsPerItem, ((kvHead + 1) * group) - firstHead);
        int firstRow = item / _headItems * _rowsPerItem;
        int rows = Math.Min(_rowsPerItem, _rows - firstRow);
        ReadOnlySpan<AttentionRow> planned = _plan.Rows.Slice(firstRow, rows);
        var state = new Layout(scratch.Of(worker), rows * heads, _paddedDim);

        // 1. Queries, [row, head].
        int dim = _shape.HeadDim;
        new Span<float>(state.Mix, rows * heads * _paddedDim).Clear();
        new Span<float>(state.Max, rows * heads).Fill(float.NegativeInfinity);
        new Span<float>(state.Sum, rows * heads).Clear();
        int end = 0;
        int start = int.MaxValue;
        for (int row = 0; row < rows; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                float* source = _q + ((firstRow + row) * _qStride) + ((long)(firstHead + head) * dim);
                float* query = state.Queries + (((row * heads) + head) * _paddedDim);
                new Span<float>(source, dim).CopyTo(new Span<float>(query, dim));
                new Span<float>(query + dim, _paddedDim - dim).Clear();
            }

            end = Math.Max(end, planned[row].Position + 1);
            start = Math.Min(start, StartOf(planned[row]));
        }

        // 2. Blocks.
        for (int block = start / Block * Block; block < end; block += Block)
        {
            for (int row = 0; row < rows;)
            {
                int together = SharedRun(planned[row..], block);
                AttendBlock(planned[row], block, kvHead, state, row * heads, together * heads);
                row += together;
            }
        }

        // 3. Results.
        for (int row = 0; row < rows; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                float* target = _y + ((firstRow + row) * _yStride) + ((long)(firstHead + head) * dim);
                int query = (row * heads) + head;
                kernels.Divide(state.Mix + (query * _paddedDim), state.Sum[query], target, dim);
            }
        }
    }

    /// <summary>Largest slot number a plan reads or writes; negative ones count as very large.</summary>
    public static uint LargestSlot(AttentionPlan plan)
    {
        uint largest = 0;
        foreach (ref readonly AttentionRow row in plan.Rows)
        {
            largest = Math.Max(largest, (uint)row.Slot);
        }

        return Math.Max(largest, Math.Max(Largest(plan.Tables), Largest(plan.Tails)));
    }

    private static uint Largest(ReadOnlySpan<int> slots)
    {
        ReadOnlySpan<uint> unsigned = MemoryMarshal.Cast<int, uint>(slots);
        uint largest = 0;
        int i = 0;
        Vector<uint> upper = Vector<uint>.Zero;
        for (; i + Vector<uint>.Count <= unsigned.Length; i += Vector<uint>.Count)
        {
            upper = Vector.Max(upper, new Vector<uint>(unsigned[i..]));
        }

        for (int lane = 0; lane < Vector<uint>.Count; lane++)
        {
            largest = Math.Max(largest, upper[lane]);
        }

        for (; i < unsigned.Length; i++)
        {
            largest = Math.Max(largest, unsigned[i]);
        }

        return largest;
    }

    /// <summary>Splits heads where rows are few, rows where they are many.</summary>
    private void Divide(int threads)
    {
        int group = _shape.Heads / _shape.KvHeads;
        int parts = Math.Clamp((threads + (_rows * _shape.KvHeads) - 1) / (_rows * _shape.KvHeads), 1, group);
        _headsPerItem = (group + parts - 1) / parts;
        _headItems = _shape.KvHeads * ((group + _headsPerItem - 1) / _headsPerItem);

        // Three items per thread, so that a slow one delays little.
        int items = Math.Max(1, 3 * threads / _headItems);
        _rowsPerItem = Math.Clamp((_rows + items - 1) / items, 1, Math.Max(1, MostQueries / _headsPerItem));
    }

    /// <summary>How many rows from the first on read this block whole and through the same table; at least 1.</summary>
    private int SharedRun(ReadOnlySpan<AttentionRow> rows, int block)
    {
        int count = 0;
        while (count < rows.Length && rows[count].TableOffset == rows[0].TableOffset
            && rows[count].PrefixLength >= block + Block && StartOf(rows[count]) <= block)
        {
            count++;
        }

        return Math.Max(1, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int StartOf(in AttentionRow row) => _shape.Window > 0 ? Math.Max(0, row.Position + 1 - _shape.Window) : 0;

    private void AttendBlock(in AttentionRow row, int block, int kvHead, in Layout state, int firstQuery, int queries)
    {
        int first = Math.Max(StartOf(row) - block, 0);
        int last = Math.Min(row.Position + 1 - block, Block);
        if (first >= last)
        {
            // Before the row's window, or after its position.
            return;
        }

        int* slots = SlotsOf(row, block, last, state.Gathered);
        PositionBlock keys;
        PositionBlock values;
        if (_inPlace)
        {
            int column = kvHead * _shape.HeadDim;
            keys = new PositionBlock((float*)_keys + column, slots, _arena.Columns);
            values = new PositionBlock((float*)_values + column, slots, _arena.Columns);
        }
        else
        {
            Unpack(_keys, slots, first, last, kvHead, state.KeyBlock);
            Unpack(_values, slots, first, last, kvHead, state.ValueBlock);
            keys = new PositionBlock(state.KeyBlock, state.Ascending, _paddedDim);
            values = new PositionBlock(state.ValueBlock, state.Ascending, _paddedDim);
        }

        float* q = state.Queries + (firstQuery * _paddedDim);
        float* mix = state.Mix + (firstQuery * _paddedDim);
        kernels.Score(q, queries, _paddedDim, keys, first, last, _shape.Scale, _shape.SoftCap, state.Scores);
        kernels.Softmax(state.Scores, queries, state.Max + firstQuery, state.Sum + firstQuery, state.Correction);
        kernels.Mix(mix, queries, _paddedDim, state.Correction, values, first, last, state.Scores);
    }

    /// <summary>The slots of positions block..block + last - 1: where they lie together, else gathered.</summary>
    private int* SlotsOf(in AttentionRow row, int block, int last, int* gathered)
    {
        int* table = _tables + row.TableOffset + block;
        int* tail = _tails + row.TailOffset + block - row.PrefixLength;
        int committed = Math.Clamp(row.PrefixLength - block, 0, last);
        if (committed == last)
        {
            return table;
        }

        if (committed == 0)
        {
            return tail;
        }

        for (int j = 0; j < last; j++)
        {
            gathered[j] = j < committed ? table[j] : tail[j];
        }

        return gathered;
    }

    private void Unpack(byte* stored, int* slots, int first, int last, int kvHead, float* numbers)
    {
        int dim = _shape.HeadDim;
        stored += _arena.Type.RowBytes((long)kvHead * dim);
        for (int j = first; j < last; j++)
        {
            float* row = numbers + (j * _paddedDim);
            kernels.Unpack(_arena.Type, stored + (slots[j] * _arena.RowBytes), row, dim);
            new Span<float>(row + dim, _paddedDim - dim).Clear();
        }
    }

    /// <summary>One worker's scratch memory: every array starts on a 64-byte border.</summary>
    private readonly struct Layout
    {
        public readonly int* Gathered;
        public readonly int* Ascending;
        public readonly float* KeyBlock;
        public readonly float* ValueBlock;
        public readonly float* Queries;
        public readonly float* Mix;
        public readonly float* Scores;
        public readonly float* Max;
        public readonly float* Sum;
        public readonly float* Correction;

        public Layout(byte* memory, int queries, int paddedDim)
        {
            Gathered = (int*)memory;
            Ascending = Gathered + Block;
            KeyBlock = (float*)(Ascending + Block);
            ValueBlock = KeyBlock + (Block * paddedDim);
            Queries = ValueBlock + (Block * paddedDim);
            Mix = Queries + (queries * paddedDim);
            Scores = Mix + (queries * paddedDim);
            Max = Scores + (queries * Block);
            Sum = Max + Padded(queries);
            Correction = Sum + Padded(queries);
            for (int j = 0; j < Block; j++)
            {
                Ascending[j] = j;
            }
        }

        public static long Bytes(int queries, int paddedDim) => sizeof(float)
            * ((2L * Block) + (2L * Block * paddedDim) + (2L * queries * paddedDim) + ((long)queries * Block) + (3L * Padded(queries)));

        private static int Padded(int count) => (count + 15) & ~15;
    }
}
