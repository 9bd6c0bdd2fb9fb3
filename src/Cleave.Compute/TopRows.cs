namespace Cleave.Compute;

/// <summary>
/// The short form of rows of logits, asked for and answered: the largest numbers, some columns asked for by name, and the mass of all of
/// them. A device fills it in one transfer of a few hundred bytes a row.
/// </summary>
public sealed class TopRows
{
    /// <param name="count">Columns that take part, from the first on.</param>
    /// <param name="k">How many of the largest are wanted; at most <paramref name="count"/>.</param>
    /// <param name="inverseTemperature">Factor on the logits in <see cref="Sums"/>.</param>
    /// <param name="asked">Columns whose numbers are wanted wherever they rank.</param>
    public TopRows(int count, int k, float inverseTemperature, IReadOnlyCollection<int> asked)
    {
        ArgumentNullException.ThrowIfNull(asked);
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(k, count);
        Count = count;
        K = k;
        InverseTemperature = inverseTemperature;
        Asked = [.. asked];
    }

    /// <summary>Columns that take part.</summary>
    public int Count { get; }

    /// <summary>Largest numbers wanted of each row.</summary>
    public int K { get; }

    /// <summary>Factor on the logits in <see cref="Sums"/>.</summary>
    public float InverseTemperature { get; }

    /// <summary>Columns asked for by name.</summary>
    public int[] Asked { get; }

    /// <summary>[rows, K]: columns of the largest numbers, the largest first, equal ones by ascending column.</summary>
    public int[] Columns { get; private set; } = [];

    /// <summary>[rows, K]: the numbers in them.</summary>
    public float[] Values { get; private set; } = [];

    /// <summary>[rows]: sum over all columns of e^((x - largest) · <see cref="InverseTemperature"/>), in one order whatever else is computed.</summary>
    public double[] Sums { get; private set; } = [];

    /// <summary>[rows, Asked.Length]: the numbers asked for.</summary>
    public float[] AskedValues { get; private set; } = [];

    /// <summary>True when both ask the same of their rows, which may then be answered together.</summary>
    public bool AsksTheSame(TopRows other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Count == other.Count && K == other.K && InverseTemperature == other.InverseTemperature && Asked.AsSpan().SequenceEqual(other.Asked);
    }

    /// <summary>Makes room for the answers of <paramref name="rows"/> rows.</summary>
    public void Prepare(int rows)
    {
        Columns = new int[rows * K];
        Values = new float[rows * K];
        Sums = new double[rows];
        AskedValues = new float[rows * Asked.Length];
    }

    /// <summary>Answers one row from its numbers: what every device's answer must equal, <see cref="Sums"/> up to rounding.</summary>
    public void Fill(int row, ReadOnlySpan<float> numbers)
    {
        var order = new PriorityQueue<int, (float Value, int Column)>(K + 1, s_worstFirst);
        for (int column = 0; column < Count; column++)
        {
            if (order.Count < K)
            {
                order.Enqueue(column, (numbers[column], column));
            }
            else
            {
                order.EnqueueDequeue(column, (numbers[column], column));
            }
        }

        for (int rank = K - 1; rank >= 0; rank--)
        {
            int column = order.Dequeue();
            Columns[(row * K) + rank] = column;
            Values[(row * K) + rank] = numbers[column];
        }

        float largest = Values[row * K];
        double sum = 0;
        for (int column = 0; column < Count; column++)
        {
            sum += Math.Exp((numbers[column] - largest) * (double)InverseTemperature);
        }

        Sums[row] = sum;
        for (int i = 0; i < Asked.Length; i++)
        {
            AskedValues[(row * Asked.Length) + i] = numbers[Asked[i]];
        }
    }

    private static readonly Comparer<(float Value, int Column)> s_worstFirst = Comparer<(float Value, int Column)>.Create(
        static (a, b) => a.Value != b.Value ? a.Value.CompareTo(b.Value) : b.Column.CompareTo(a.Column));
}
