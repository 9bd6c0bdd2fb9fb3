using System.Numerics;
using System.Runtime.InteropServices;

namespace Cleave.Compute.Cpu;

/// <summary>
/// Attention of (row, key head) pairs: for each block of 64 positions, scores, running softmax, weighted values. The query
/// heads of a group share the block's keys and values.
/// </summary>
internal sealed unsafe class AttentionJob(KernelSet kernels, WorkerScratch scratch) : ParallelJob
{
    private const int Block = KernelSet.BlockPositions;

    private AttentionPlan _plan = null!;
    private CpuKvArena _arena = null!;
    private AttentionShape _shape;
    private byte* _keys;
    private byte* _values;
    private float* _q;
    private long _qStride;
    private float* _y;
    private long _yStride;
    private int _paddedDim;
    private int _headsPerItem;
    private int _itemsPerRow;
    private bool _inPlace;

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
        _paddedDim = (shape.HeadDim + 15) & ~15;
        _inPlace = arena.Type == ElementType.F32 && _paddedDim == shape.HeadDim;

        int rows = plan.Rows.Length;
        int group = shape.Heads / shape.KvHeads;
        int parts = rows * shape.KvHeads >= team.Size ? 1 : Math.Min(group, (team.Size + (rows * shape.KvHeads) - 1) / (rows * shape.KvHeads));
        _headsPerItem = (group + parts - 1) / parts;
        _itemsPerRow = shape.KvHeads * ((group + _headsPerItem - 1) / _headsPerItem);
        int perHead = (2 * _paddedDim) + Block + 3;
        scratch.Reserve((Block * sizeof(long)) + (((2L * Block * _paddedDim) + ((long)_headsPerItem * perHead) + 64) * sizeof(float)));
        team.Run(this, rows * _itemsPerRow);
    }

    public override void Run(int item, int worker)
    {
        ref readonly AttentionRow row = ref _plan.Rows[item / _itemsPerRow];
        int group = _shape.Heads / _shape.KvHeads;
        int partsPerGroup = _itemsPerRow / _shape.KvHeads;
        int kvHead = item % _itemsPerRow / partsPerGroup;
        int firstHead = (kvHead * group) + (item % partsPerGroup * _headsPerItem);
        int heads = Math.Min(_headsPerItem, ((kvHead + 1) * group) - firstHead);
        int dim = _shape.HeadDim;

        long* offsets = (long*)scratch.Of(worker);
        float* keyBlock = (float*)(offsets + Block);
        float* valueBlock = keyBlock + (Block * _paddedDim);
        float* q = valueBlock + (Block * _paddedDim);
        float* mix = q + (heads * _paddedDim);
        float* scores = mix + (heads * _paddedDim);
        float* max = scores + (heads * Block);
        float* sum = max + heads;
        float* correction = sum + heads;

        new Span<float>(q, 2 * heads * _paddedDim).Clear();
        new Span<float>(max, heads).Fill(float.NegativeInfinity);
        new Span<float>(sum, heads).Clear();
        long rowIndex = item / _itemsPerRow;
        for (int head = 0; head < heads; head++)
        {
            float* source = _q + (rowIndex * _qStride) + ((long)(firstHead + head) * dim);
            new Span<float>(source, dim).CopyTo(new Span<float>(q + (head * _paddedDim), dim));
        }

        int start = _shape.Window > 0 ? Math.Max(0, row.Position + 1 - _shape.Window) : 0;
        for (int block = start / Block * Block; block <= row.Position; block += Block)
        {
            int first = Math.Max(start - block, 0);
            int last = Math.Min(row.Position + 1 - block, Block);
            float* keys = keyBlock;
            float* values = valueBlock;
            if (_inPlace)
            {
                keys = (float*)_keys;
                values = (float*)_values;
                for (int j = first; j < last; j++)
                {
                    offsets[j] = ((long)SlotOf(row, block + j) * _arena.Columns) + (kvHead * dim);
                }
            }
            else
            {
                UnpackBlock(row, block, first, last, kvHead, keys, values, offsets);
            }

            kernels.Score(q, heads, _paddedDim, keys, offsets, first, last, _shape.Scale, _shape.SoftCap, scores);
            kernels.Softmax(scores, heads, max, sum, correction);
            kernels.Mix(mix, heads, _paddedDim, correction, values, offsets, first, last, scores);
        }

        for (int head = 0; head < heads; head++)
        {
            float* target = _y + (rowIndex * _yStride) + ((long)(firstHead + head) * dim);
            kernels.Divide(mix + (head * _paddedDim), sum[head], target, dim);
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

    private int SlotOf(in AttentionRow row, int position) => position < row.PrefixLength
        ? _plan.Tables[row.TableOffset + position]
        : _plan.Tails[row.TailOffset + position - row.PrefixLength];

    private void UnpackBlock(in AttentionRow row, int block, int first, int last, int kvHead, float* keys, float* values, long* offsets)
    {
        int dim = _shape.HeadDim;
        long start = _arena.Type.RowBytes((long)kvHead * dim);
        for (int j = first; j < last; j++)
        {
            offsets[j] = j * _paddedDim;
            long source = (SlotOf(row, block + j) * _arena.RowBytes) + start;
            kernels.Unpack(_arena.Type, _keys + source, keys + offsets[j], dim);
            kernels.Unpack(_arena.Type, _values + source, values + offsets[j], dim);
            if (_paddedDim != dim)
            {
                new Span<float>(keys + offsets[j] + dim, _paddedDim - dim).Clear();
                new Span<float>(values + offsets[j] + dim, _paddedDim - dim).Clear();
            }
        }
    }
}
