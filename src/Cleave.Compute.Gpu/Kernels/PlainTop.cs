using ILGPU;

namespace Cleave.Compute.Gpu.Kernels;

/// <summary>Sizes of a search for the largest numbers of rows.</summary>
internal struct TopShape
{
    public int Rows;
    public int Count;
    public int Stride;
    public int K;
    public int Groups;
    public int Asked;
    public float InverseTemperature;

    /// <summary>Groups that hold the K largest: the K whose own largest are largest.</summary>
    public readonly int Slots => K < Groups ? K : Groups;

    /// <summary>Numbers of a row's answer: K columns, K values, the parts of the sum, and those asked for.</summary>
    public readonly int Width => (2 * K) + PlainTop.SumParts + Asked;
}

/// <summary>
/// The K largest numbers of each row, exactly, in descending order and equal ones by ascending column. Columns g, g + G, g + 2G, ... are
/// group g. A number among the K largest lies in a group whose largest is among the K largest group maxima: otherwise K group maxima
/// would precede it. So: the largest of each group, its rank among the groups, then ranks within the K first groups alone.
/// No barriers, one thread an answer; every comparison is exact, so neither order nor timing can show.
/// </summary>
internal static class PlainTop
{
    public const int SumParts = 64;

    // Of each group: its largest, that one's column (exact in a float), and its sum of exponentials.
    public const int GroupFloats = 3;

    /// <summary>groups[row, group] = largest number, its column, sum of e^((x - largest) · inverse temperature).</summary>
    public static void GroupTop(ArrayView<float> x, ArrayView<float> groups, TopShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Groups)
        {
            return;
        }

        int group = index % shape.Groups;
        long row = (long)(index / shape.Groups) * shape.Stride;
        float largest = x[row + group];
        int at = group;
        for (int column = group + shape.Groups; column < shape.Count; column += shape.Groups)
        {
            float value = x[row + column];
            if (value > largest)
            {
                largest = value;
                at = column;
            }
        }

        float sum = 0;
        for (int column = group; column < shape.Count; column += shape.Groups)
        {
            sum += KernelMath.Exp((x[row + column] - largest) * shape.InverseTemperature);
        }

        long to = (long)index * GroupFloats;
        groups[to] = largest;
        groups[to + 1] = at;
        groups[to + 2] = sum;
    }

    /// <summary>slots[row, rank] = the group of that rank, for the first ranks.</summary>
    public static void GroupRank(ArrayView<float> groups, ArrayView<int> slots, TopShape shape)
    {
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Groups)
        {
            return;
        }

        int row = index / shape.Groups;
        long own = (long)index * GroupFloats;
        float value = groups[own];
        float column = groups[own + 1];
        long first = (long)row * shape.Groups * GroupFloats;
        int rank = 0;
        for (int other = 0; other < shape.Groups && rank < shape.K; other++)
        {
            long at = first + ((long)other * GroupFloats);
            rank += Precedes(groups[at], groups[at + 1], value, column);
        }

        if (rank < shape.K)
        {
            slots[(row * shape.Slots) + rank] = index % shape.Groups;
        }
    }

    /// <summary>answers[row, rank] and answers[row, K + rank] = column and value of the number of that rank.</summary>
    public static void Top(ArrayView<float> x, ArrayView<float> groups, ArrayView<int> slots, ArrayView<float> answers, TopShape shape)
    {
        int members = (shape.Count + shape.Groups - 1) / shape.Groups;
        int index = Grid.GlobalIndex.X;
        if (index >= shape.Rows * shape.Slots * members)
        {
            return;
        }

        int row = index / (shape.Slots * members);
        int slot = index / members % shape.Slots;
        int column = slots[(row * shape.Slots) + slot] + (index % members * shape.Groups);
        if (column >= shape.Count)
        {
            return;
        }

        // Most numbers of these groups are out after a look at the groups' largest.
        long numbers = (long)row * shape.Stride;
        float value = x[numbers + column];
        int rank = 0;
        for (int other = 0; other < shape.Slots && rank < shape.K; other++)
        {
            long at = (((long)row * shape.Groups) + slots[(row * shape.Slots) + other]) * GroupFloats;
            rank += Precedes(groups[at], groups[at + 1], value, column);
        }

        if (rank >= shape.K)
        {
            return;
        }

        rank = 0;
        for (int other = 0; other < shape.Slots && rank < shape.K; other++)
        {
            for (int at = slots[(row * shape.Slots) + other]; at < shape.Count; at += shape.Groups)
            {
                rank += Precedes(x[numbers + at], at, value, column);
            }
        }

        if (rank < shape.K)
        {
            long to = ((long)row * shape.Width) + rank;
            answers[to] = column;
            answers[to + shape.K] = value;
        }
    }

    /// <summary>The parts of the sum, each over its groups in ascending order and relative to the row's largest; then the numbers asked for.</summary>
    public static void Rest(ArrayView<float> x, ArrayView<float> groups, ArrayView<int> asked, ArrayView<float> answers, TopShape shape)
    {
        int index = Grid.GlobalIndex.X;
        int each = SumParts + shape.Asked;
        if (index >= shape.Rows * each)
        {
            return;
        }

        int row = index / each;
        int item = index % each;
        long to = ((long)row * shape.Width) + (2 * shape.K) + item;
        if (item >= SumParts)
        {
            answers[to] = x[((long)row * shape.Stride) + asked[item - SumParts]];
            return;
        }

        float largest = answers[((long)row * shape.Width) + shape.K];
        int length = (shape.Groups + SumParts - 1) / SumParts;
        int end = IntrinsicMath.Min((item + 1) * length, shape.Groups);
        float sum = 0;
        for (int group = item * length; group < end; group++)
        {
            long at = (((long)row * shape.Groups) + group) * GroupFloats;
            sum += groups[at + 2] * KernelMath.Exp((groups[at] - largest) * shape.InverseTemperature);
        }

        answers[to] = sum;
    }

    private static int Precedes(float value, float column, float thanValue, float thanColumn) =>
        value > thanValue || (value == thanValue && column < thanColumn) ? 1 : 0;
}
