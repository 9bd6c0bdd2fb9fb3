using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>Sizes of attention and of the arena it reads. Plan rows are five ints: position, slot, table offset, prefix length, tail offset.</summary>
internal struct AttentionSizes
{
    public int Rows;
    public int FirstRow;
    public int Heads;
    public int KvHeads;
    public int HeadDim;
    public int QStride;
    public int YStride;
    public int Blocks;
    public int Window;
    public int KvType;
    public int RowUnits;
    public long KeyOffset;
    public long ValueOffset;
    public float Scale;
    public float SoftCap;
}

/// <summary>Sizes of a rotation.</summary>
internal struct RopeSizes
{
    public int Rows;
    public int Heads;
    public int HeadDim;
    public int Pairs;
    public int Stride;
    public int Interleaved;
}

/// <summary>
/// Rotation, cache stores and attention for any device. Attention works on blocks of 64 positions starting at multiples of
/// 64: scores, then each block's maximum and exponentials, then values block by block in ascending order with the usual
/// rescaling (Milakov and Gimelshein 2018, arXiv 1805.02867). A row's arithmetic depends on its own history alone.
/// </summary>
internal static class PlainAttention
{
    public const int BlockLength = 64;
    public const int PlanStride = 5;

    public static void Rope(ArrayView<float> x, ArrayView<float> table, ArrayView<int> plan, RopeSizes sizes)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= sizes.Rows * sizes.Heads * sizes.Pairs)
        {
            return;
        }

        int pair = index % sizes.Pairs;
        int head = index / sizes.Pairs % sizes.Heads;
        int row = index / sizes.Pairs / sizes.Heads;
        long turn = (long)plan[row * PlanStride] * 2 * sizes.Pairs;
        float cos = table[turn + pair];
        float sin = table[turn + sizes.Pairs + pair];
        long at = ((long)row * sizes.Stride) + (head * sizes.HeadDim);
        long first = at + (sizes.Interleaved != 0 ? 2 * pair : pair);
        long second = sizes.Interleaved != 0 ? first + 1 : first + sizes.Pairs;
        float a = x[first];
        float b = x[second];
        x[first] = (a * cos) - (b * sin);
        x[second] = (a * sin) + (b * cos);
    }

    /// <summary>One thread per 32 numbers (a quantisation block) of a key or value row. Rows is rows; HeadDim is columns; Heads is blocks a row.</summary>
    public static void Store(ArrayView<float> source, ArrayView<ushort> arena, ArrayView<int> plan, AttentionSizes sizes)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= sizes.Rows * sizes.Heads)
        {
            return;
        }

        int row = index / sizes.Heads;
        int start = index % sizes.Heads * 32;
        int end = IntrinsicMath.Min(start + 32, sizes.HeadDim);
        long from = (long)row * sizes.QStride;
        long to = sizes.KeyOffset + ((long)plan[(row * PlanStride) + 1] * sizes.RowUnits);
        if (sizes.KvType == (int)ElementType.Q8_0)
        {
            StoreBlock(source, from + start, arena, to + (start / 32 * 17));
            return;
        }

        for (int i = start; i < end; i++)
        {
            float value = source[from + i];
            if (sizes.KvType == (int)ElementType.F32)
            {
                uint bits = Interop.FloatAsInt(value);
                arena[to + (2 * i)] = (ushort)(bits & 0xFFFF);
                arena[to + (2 * i) + 1] = (ushort)(bits >> 16);
            }
            else
            {
                arena[to + i] = (ushort)(sizes.KvType == (int)ElementType.F16 ? KernelMath.ToHalf(value) : KernelMath.ToBrain(value));
            }
        }
    }

    /// <summary>scores[row, head, position], position padded to whole blocks; positions out of sight get minus infinity.</summary>
    public static void Scores(
        ArrayView<float> q, ArrayView<ushort> arena, ArrayView<int> plan, ArrayView<int> tables, ArrayView<int> tails, ArrayView<float> scores,
        AttentionSizes sizes)
    {
        int index = Grid.GlobalIndex.X;
        int padded = sizes.Blocks * BlockLength;
        if (index >= sizes.Rows * sizes.Heads * padded)
        {
            return;
        }

        int position = index % padded;
        int head = index / padded % sizes.Heads;
        int local = index / padded / sizes.Heads;
        int row = sizes.FirstRow + local;
        int own = plan[row * PlanStride];
        if (position > own || (sizes.Window > 0 && position <= own - sizes.Window))
        {
            scores[index] = float.NegativeInfinity;
            return;
        }

        int slot = Slot(plan, tables, tails, row, position);
        long key = sizes.KeyOffset + ((long)slot * sizes.RowUnits);
        int first = head / (sizes.Heads / sizes.KvHeads) * sizes.HeadDim;
        long query = ((long)row * sizes.QStride) + (head * sizes.HeadDim);
        float sum = 0;
        for (int i = 0; i < sizes.HeadDim; i++)
        {
            sum += q[query + i] * Load(arena, key, first + i, sizes.KvType);
        }

        sum *= sizes.Scale;
        scores[index] = sizes.SoftCap > 0 ? sizes.SoftCap * KernelMath.Tanh(sum / sizes.SoftCap) : sum;
    }

    /// <summary>Per block: statistics[.., 0] = its maximum, [.., 1] = the sum of its exponentials, which replace the scores.</summary>
    public static void BlockSoftmax(ArrayView<float> scores, ArrayView<float> statistics, AttentionSizes sizes)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= sizes.Rows * sizes.Heads * sizes.Blocks)
        {
            return;
        }

        long at = (long)index * BlockLength;
        float max = float.NegativeInfinity;
        for (int i = 0; i < BlockLength; i++)
        {
            float score = scores[at + i];
            max = score > max ? score : max;
        }

        float sum = 0;
        for (int i = 0; i < BlockLength; i++)
        {
            float score = scores[at + i];
            float weight = score > float.NegativeInfinity ? KernelMath.Exp(score - max) : 0;
            scores[at + i] = weight;
            sum += weight;
        }

        statistics[2 * index] = max;
        statistics[(2 * index) + 1] = sum;
    }

    /// <summary>One thread per output number: values of each block, then merged into what the earlier blocks gave.</summary>
    public static void Values(
        ArrayView<float> scores, ArrayView<float> statistics, ArrayView<ushort> arena, ArrayView<int> plan, ArrayView<int> tables, ArrayView<int> tails,
        ArrayView<float> y, AttentionSizes sizes)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= sizes.Rows * sizes.Heads * sizes.HeadDim)
        {
            return;
        }

        int i = index % sizes.HeadDim;
        int head = index / sizes.HeadDim % sizes.Heads;
        int local = index / sizes.HeadDim / sizes.Heads;
        int row = sizes.FirstRow + local;
        int own = plan[row * PlanStride];
        int column = (head / (sizes.Heads / sizes.KvHeads) * sizes.HeadDim) + i;
        int firstPosition = sizes.Window > 0 ? IntrinsicMath.Max(0, own - sizes.Window + 1) : 0;
        float max = float.NegativeInfinity;
        float total = 0;
        float result = 0;
        for (int block = firstPosition / BlockLength; block <= own / BlockLength; block++)
        {
            long at = (((long)local * sizes.Heads) + head) * sizes.Blocks + block;
            int start = IntrinsicMath.Max(block * BlockLength, firstPosition);
            int end = IntrinsicMath.Min((block * BlockLength) + BlockLength - 1, own);
            float sum = 0;
            for (int position = start; position <= end; position++)
            {
                long value = sizes.ValueOffset + ((long)Slot(plan, tables, tails, row, position) * sizes.RowUnits);
                sum += scores[(at * BlockLength) + position - (block * BlockLength)] * Load(arena, value, column, sizes.KvType);
            }

            float blockMax = statistics[2 * at];
            float newMax = blockMax > max ? blockMax : max;
            float keep = max > float.NegativeInfinity ? KernelMath.Exp(max - newMax) : 0;
            float join = KernelMath.Exp(blockMax - newMax);
            result = (result * keep) + (sum * join);
            total = (total * keep) + (statistics[(2 * at) + 1] * join);
            max = newMax;
        }

        y[((long)row * sizes.YStride) + (head * sizes.HeadDim) + i] = result / total;
    }

    private static int Slot(ArrayView<int> plan, ArrayView<int> tables, ArrayView<int> tails, int row, int position)
    {
        int prefix = plan[(row * PlanStride) + 3];
        return position < prefix
            ? tables[plan[(row * PlanStride) + 2] + position]
            : tails[plan[(row * PlanStride) + 4] + position - prefix];
    }

    private static float Load(ArrayView<ushort> arena, long row, int column, int type)
    {
        if (type == (int)ElementType.BF16)
        {
            return default(BF16Reader).Read(arena, row, column);
        }

        if (type == (int)ElementType.F16)
        {
            return default(F16Reader).Read(arena, row, column);
        }

        return type == (int)ElementType.F32 ? default(F32Reader).Read(arena, row, column) : default(Q8_0Reader).Read(arena, row, column);
    }

    private static void StoreBlock(ArrayView<float> source, long from, ArrayView<ushort> arena, long to)
    {
        float max = 0;
        for (int i = 0; i < 32; i++)
        {
            float magnitude = IntrinsicMath.Abs(source[from + i]);
            max = magnitude > max ? magnitude : max;
        }

        float scale = max / 127;
        float inverse = scale > 0 ? 1 / scale : 0;
        arena[to] = (ushort)KernelMath.ToHalf(scale);
        for (int i = 0; i < 16; i++)
        {
            uint low = Quantize(source[from + (2 * i)] * inverse);
            uint high = Quantize(source[from + (2 * i) + 1] * inverse);
            arena[to + 1 + i] = (ushort)(low | (high << 8));
        }
    }

    private static uint Quantize(float value) => (uint)(int)(value < 0 ? value - 0.5f : value + 0.5f) & 0xFF;
}
