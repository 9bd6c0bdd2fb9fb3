using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>Where a packed copy of the result goes, if anywhere.</summary>
internal struct PackTarget
{
    public int Enabled;
    public int Half;
    public int TileRows;
    public int Columns;
}

/// <summary>
/// Row-wise kernels for CUDA, in C#: they use barriers and shuffles, and overlap their start with the end of the kernel ahead. Results go to
/// float32 and, where a product will read them, to the tensor cores' operand layout in the same pass.
/// </summary>
internal static class CudaRowKernels
{
    public const int NormThreads = 512;

    /// <summary>One block per row and group.</summary>
    public static void RmsNorm(ArrayView<float> x, ArrayView<float> weight, ArrayView<float> y, ArrayView<ushort> packed, RowShape shape, PackTarget target)
    {
        Trigger();
        ArrayView<float> sums = SharedMemory.Allocate<float>(NormThreads / 32);
        int row = Grid.IdxX;
        int group = Grid.IdxY;
        int width = shape.Columns / shape.Groups;
        int start = group * width;
        long at = ((long)row * shape.XStride) + start;
        int factors = shape.WeightPerGroup != 0 ? 0 : start;

        // Eight numbers a thread stay in registers, their loads and their factors' in flight together; wider rows loop for the rest. Half a
        // multiprocessor's threads: the product that follows finds room beside this kernel and has its first weights under way.
        int i0 = Group.IdxX;
        int i1 = i0 + NormThreads;
        int i2 = i1 + NormThreads;
        int i3 = i2 + NormThreads;
        int i4 = i3 + NormThreads;
        int i5 = i4 + NormThreads;
        int i6 = i5 + NormThreads;
        int i7 = i6 + NormThreads;
        int last = width - 1;
        float w0 = weight[factors + IntrinsicMath.Min(i0, last)];
        float w1 = weight[factors + IntrinsicMath.Min(i1, last)];
        float w2 = weight[factors + IntrinsicMath.Min(i2, last)];
        float w3 = weight[factors + IntrinsicMath.Min(i3, last)];
        float w4 = weight[factors + IntrinsicMath.Min(i4, last)];
        float w5 = weight[factors + IntrinsicMath.Min(i5, last)];
        float w6 = weight[factors + IntrinsicMath.Min(i6, last)];
        float w7 = weight[factors + IntrinsicMath.Min(i7, last)];
        Wait();
        float v0 = x[at + IntrinsicMath.Min(i0, last)];
        float v1 = x[at + IntrinsicMath.Min(i1, last)];
        float v2 = x[at + IntrinsicMath.Min(i2, last)];
        float v3 = x[at + IntrinsicMath.Min(i3, last)];
        float v4 = x[at + IntrinsicMath.Min(i4, last)];
        float v5 = x[at + IntrinsicMath.Min(i5, last)];
        float v6 = x[at + IntrinsicMath.Min(i6, last)];
        float v7 = x[at + IntrinsicMath.Min(i7, last)];
        float sum = i0 <= last ? v0 * v0 : 0;
        sum += i1 <= last ? v1 * v1 : 0;
        sum += i2 <= last ? v2 * v2 : 0;
        sum += i3 <= last ? v3 * v3 : 0;
        sum += i4 <= last ? v4 * v4 : 0;
        sum += i5 <= last ? v5 * v5 : 0;
        sum += i6 <= last ? v6 * v6 : 0;
        sum += i7 <= last ? v7 * v7 : 0;
        for (int i = i7 + NormThreads; i < width; i += NormThreads)
        {
            float value = x[at + i];
            sum += value * value;
        }

        for (int offset = 16; offset > 0; offset >>= 1)
        {
            sum += Warp.ShuffleXor(sum, offset);
        }

        if (Group.IdxX % 32 == 0)
        {
            sums[Group.IdxX / 32] = sum;
        }

        Group.Barrier();
        float total = 0;
        for (int i = 0; i < NormThreads / 32; i++)
        {
            total += sums[i];
        }

        float scale = 1 / MathF.Sqrt((total / width) + shape.Epsilon);
        long to = ((long)row * shape.YStride) + start;
        NormStore(y, packed, target, row, start, to, i0, last, v0 * scale * w0);
        NormStore(y, packed, target, row, start, to, i1, last, v1 * scale * w1);
        NormStore(y, packed, target, row, start, to, i2, last, v2 * scale * w2);
        NormStore(y, packed, target, row, start, to, i3, last, v3 * scale * w3);
        NormStore(y, packed, target, row, start, to, i4, last, v4 * scale * w4);
        NormStore(y, packed, target, row, start, to, i5, last, v5 * scale * w5);
        NormStore(y, packed, target, row, start, to, i6, last, v6 * scale * w6);
        NormStore(y, packed, target, row, start, to, i7, last, v7 * scale * w7);
        for (int i = i7 + NormThreads; i < width; i += NormThreads)
        {
            NormStore(y, packed, target, row, start, to, i, last, x[at + i] * scale * weight[factors + i]);
        }
    }

    private static void NormStore(ArrayView<float> y, ArrayView<ushort> packed, PackTarget target, int row, int start, long to, int i, int last, float value)
    {
        if (i <= last)
        {
            y[to + i] = value;
            Pack(packed, target, row, start + i, value);
        }
    }

    /// <summary>One thread an element.</summary>
    public static void Gate(ArrayView<float> gate, ArrayView<float> up, ArrayView<float> y, ArrayView<ushort> packed, RowShape shape, PackTarget target)
    {
        Begin();
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = Grid.IdxY;
        if (column < shape.Columns)
        {
            float value = KernelMath.Activate(gate[((long)row * shape.XStride) + column], shape.Kind) * up[((long)row * shape.YStride) + column];
            y[((long)row * shape.ZStride) + column] = value;
            Pack(packed, target, row, column, value);
        }
    }

    /// <summary>Packs what no producer packed.</summary>
    public static void PackRows(ArrayView<float> x, ArrayView<ushort> packed, RowShape shape, PackTarget target)
    {
        Begin();
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = Grid.IdxY;
        if (column < shape.Columns)
        {
            Pack(packed, target, row, column, x[((long)row * shape.XStride) + column]);
        }
    }

    /// <summary>Rotates queries in place, rotates keys into the arena, copies values into the arena: one thread a pair.</summary>
    public static void RopeAndStore(
        ArrayView<float> q, ArrayView<float> k, ArrayView<float> v, ArrayView<float> table, ArrayView<int> plan, ArrayView<ushort> arena, RopeSizes rope, AttentionSizes sizes)
    {
        Trigger();
        int index = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = Grid.IdxY;
        int half = rope.HeadDim / 2;
        int head = index / half;
        int pair = index % half;
        if (head >= sizes.Heads + (2 * sizes.KvHeads))
        {
            return;
        }

        // Plan and table were there before the kernel ahead began: they are read before the wait. Numbers past the rotated pairs pass unchanged.
        long slot = (long)plan[(row * PlainAttention.PlanStride) + 1] * sizes.RowUnits;
        bool rotated = pair < rope.Pairs;
        int first = rope.Interleaved != 0 || !rotated ? 2 * pair : pair;
        int second = rope.Interleaved != 0 || !rotated ? first + 1 : first + rope.Pairs;
        float cos = 1;
        float sin = 0;
        if (rotated)
        {
            long turn = (long)plan[row * PlainAttention.PlanStride] * 2 * rope.Pairs;
            cos = table[turn + pair];
            sin = table[turn + rope.Pairs + pair];
        }

        Wait();
        if (head >= sizes.Heads + sizes.KvHeads)
        {
            int column = ((head - sizes.Heads - sizes.KvHeads) * rope.HeadDim) + (2 * pair);
            long from = ((long)row * sizes.YStride) + column;
            arena[sizes.ValueOffset + slot + column] = Convert(v[from], sizes.KvType);
            arena[sizes.ValueOffset + slot + column + 1] = Convert(v[from + 1], sizes.KvType);
            return;
        }

        if (head < sizes.Heads)
        {
            long at = ((long)row * sizes.QStride) + (head * rope.HeadDim);
            float a = q[at + first];
            float b = q[at + second];
            q[at + first] = (a * cos) - (b * sin);
            q[at + second] = (a * sin) + (b * cos);
        }
        else
        {
            int column = (head - sizes.Heads) * rope.HeadDim;
            long at = ((long)row * rope.Stride) + column;
            float a = k[at + first];
            float b = k[at + second];
            arena[sizes.KeyOffset + slot + column + first] = Convert((a * cos) - (b * sin), sizes.KvType);
            arena[sizes.KeyOffset + slot + column + second] = Convert((a * sin) + (b * cos), sizes.KvType);
        }
    }

    /// <summary>
    /// Lays 16-bit or quantised rows out as <see cref="WeightPacking"/> says: one thread per lane of a band's step.
    /// shape: Rows = rows in the source, Inputs, RowUnits; bands count from <paramref name="firstBand"/>. With <paramref name="gates"/> rows of
    /// gates ahead of as many ups, a band is eight gates and their eight ups.
    /// </summary>
    public static void PackWeight(ArrayView<ushort> source, ArrayView<ushort> packed, MatMulShape shape, int firstBand, int type, int gates)
    {
        long index = ((long)Grid.IdxX * Group.DimX) + Group.IdxX;
        int lane = (int)(index % 32);
        int steps = shape.Inputs / WeightPacking.Step;
        int step = (int)(index / 32 % steps);
        int band = (int)(index / 32 / steps);
        if (band * WeightPacking.BandRows >= shape.Rows)
        {
            return;
        }

        int g = lane / 4;
        int t = lane % 4;
        int row0 = gates > 0 ? band * 8 : band * WeightPacking.BandRows;
        int next = gates > 0 ? gates : 8;
        long cell = ((long)(firstBand + band) * steps) + step;
        if (type is (int)ElementType.BF16 or (int)ElementType.F16)
        {
            for (int j = 0; j < 16; j++)
            {
                int row = row0 + g + (next * (j / 2 % 2));
                int k = (step * 32) + (j / 8 * 16) + (j / 4 % 2 * 8) + (2 * t) + (j % 2);
                packed[(cell * 512) + (j / 8 * 256) + (lane * 8) + (j % 8)] = row < shape.Rows ? source[((long)row * shape.RowUnits) + k] : (ushort)0;
            }

            return;
        }

        if (type == (int)ElementType.Q8_0)
        {
            for (int j = 0; j < 8; j++)
            {
                int row = row0 + g + (next * (j % 2));
                int i = (j / 4 * 16) + (j / 2 % 2 * 8) + (2 * t);
                packed[(cell * 272) + (lane * 8) + j] = row < shape.Rows ? source[((long)row * shape.RowUnits) + (step * 17) + 1 + (i / 2)] : (ushort)0;
            }

            if (lane < 16)
            {
                int row = row0 + (lane % 8) + (next * (lane / 8));
                packed[(cell * 272) + 256 + lane] = row < shape.Rows ? source[((long)row * shape.RowUnits) + (step * 17)] : (ushort)0;
            }

            return;
        }

        // Q4_K: eight numbers of row g and eight of row g + 8 as nibbles of two words; even numbers in the low halves.
        for (int c = 0; c < 2; c++)
        {
            uint low = 0;
            uint high = 0;
            for (int j = 0; j < 4; j++)
            {
                int row = row0 + g + (next * (j % 2));
                if (row < shape.Rows)
                {
                    int i = (c * 16) + (j / 2 * 8) + (2 * t);
                    long block = ((long)row * shape.RowUnits) + (step / 8 * 72);
                    int sub = step % 8;
                    uint pair = (uint)source[block + 8 + (sub / 2 * 16) + (i / 2)] >> (4 * (sub & 1));
                    low |= (pair & 0xF) << (4 * j);
                    high |= ((pair >> 8) & 0xF) << (4 * j);
                }
            }

            packed[(cell * 160) + (lane * 4) + (2 * c)] = (ushort)low;
            packed[(cell * 160) + (lane * 4) + (2 * c) + 1] = (ushort)high;
        }

        if (lane < 16)
        {
            int row = row0 + (lane % 8) + (next * (lane / 8));
            float scale = 0;
            float minimum = 0;
            if (row < shape.Rows)
            {
                long block = ((long)row * shape.RowUnits) + (step / 8 * 72);
                scale = KernelMath.FromHalf(source[block]) * KScales.Scale(source, block + 2, step % 8);
                minimum = KernelMath.FromHalf(source[block + 1]) * KScales.Minimum(source, block + 2, step % 8);
            }

            packed[(cell * 160) + 128 + (lane * 2)] = (ushort)KernelMath.ToHalf(scale);
            packed[(cell * 160) + 128 + (lane * 2) + 1] = (ushort)KernelMath.ToHalf(-minimum);
        }
    }

    /// <summary>Decodes rows of a packed weight. One thread an element.</summary>
    public static void Gather(ArrayView<ushort> packed, ArrayView<int> ids, ArrayView<float> destination, MatMulShape shape, float scale, int type)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX;
        int row = Grid.IdxY;
        if (column >= shape.Inputs)
        {
            return;
        }

        int id = ids[row];
        int r = id % WeightPacking.BandRows;
        int i = column % WeightPacking.Step;
        int lane = (r % 8 * 4) + (i % 8 / 2);
        int chunk = i / 16;
        int slot = (i / 8 % 2 * 2) + (r / 8);
        long cell = ((long)(id / WeightPacking.BandRows) * (shape.Inputs / WeightPacking.Step)) + (column / WeightPacking.Step);
        float value;
        if (type is (int)ElementType.BF16 or (int)ElementType.F16)
        {
            uint bits = packed[(cell * 512) + (chunk * 256) + (lane * 8) + (slot * 2) + (i % 2)];
            value = type == (int)ElementType.BF16 ? KernelMath.FromBrain(bits) : KernelMath.FromHalf(bits);
        }
        else if (type == (int)ElementType.Q8_0)
        {
            uint pair = packed[(cell * 272) + (lane * 8) + (chunk * 4) + slot];
            int number = (int)((pair >> (8 * (i % 2))) & 0xFF);
            value = KernelMath.FromHalf(packed[(cell * 272) + 256 + r]) * (number - ((number & 0x80) << 1));
        }
        else
        {
            uint nibbles = packed[(cell * 160) + (lane * 4) + (chunk * 2) + (i % 2)];
            float number = (nibbles >> (4 * slot)) & 0xF;
            value = (KernelMath.FromHalf(packed[(cell * 160) + 128 + (r * 2)]) * number) + KernelMath.FromHalf(packed[(cell * 160) + 128 + (r * 2) + 1]);
        }

        destination[((long)row * shape.YStride) + column] = value * scale;
    }

    private static ushort Convert(float value, int type) => (ushort)(type == (int)ElementType.F16 ? KernelMath.ToHalf(value) : KernelMath.ToBrain(value));

    private static void Pack(ArrayView<ushort> packed, PackTarget target, int row, int column, float value)
    {
        if (target.Enabled == 0)
        {
            return;
        }

        int tile = row / target.TileRows * target.TileRows;
        long at = ((long)tile * target.Columns) + ((long)(column / 8) * target.TileRows * 8) + ((row - tile) * 8) + (column % 8);
        packed[at] = (ushort)(target.Half != 0 ? KernelMath.ToHalf(value * WeightPacking.HalfScale) : KernelMath.ToBrain(value));
    }

    private static void Begin()
    {
        Trigger();
        Wait();
    }

    private static void Trigger() => CudaAsm.Emit("griddepcontrol.launch_dependents;");

    private static void Wait() => CudaAsm.Emit("griddepcontrol.wait;");
}
