using Cleave.Compute.Gpu.Kernels;
using ILGPU;

namespace Cleave.Compute.Gpu;

public sealed partial class GpuDevice
{
    // Enough threads a row to hide latency; few enough that ranking them is little work.
    private const int MostGroups = 2048;
    private const int FewestMembers = 8;

    /// <inheritdoc />
    public bool PrefersTopRows => true;

    /// <inheritdoc />
    public void TopOf(DeviceTensor x, int rows, TopRows tops)
    {
        ArgumentNullException.ThrowIfNull(tops);
        GpuTensor from = Tensor(x, rows);
        Require(tops.Count <= from.ColumnCount, $"{tops.Count} columns are to be searched and x has {from.ColumnCount}");
        foreach (int column in tops.Asked)
        {
            Require((uint)column < (uint)from.ColumnCount, $"column {column} is asked of rows of {from.ColumnCount}");
        }

        tops.Prepare(rows);
        if (rows == 0)
        {
            return;
        }

        int members = Math.Max(FewestMembers, (tops.Count + MostGroups - 1) / MostGroups);
        var shape = new TopShape
        {
            Rows = rows,
            Count = tops.Count,
            Stride = from.Stride,
            K = tops.K,
            Groups = (tops.Count + members - 1) / members,
            Asked = tops.Asked.Length,
            InverseTemperature = tops.InverseTemperature,
        };
        ArrayView<float> groups = _groups.Get((long)rows * shape.Groups * PlainTop.GroupFloats);
        ArrayView<int> slots = _slots.Get((long)rows * shape.Slots);
        ArrayView<float> answers = _statistics.Get((long)rows * shape.Width);
        ArrayView<int> asked = UploadIndices(tops.Asked.Length == 0 ? [0] : tops.Asked);

        // 1. The largest of each group. 2. The groups that matter. 3. The largest of all. 4. What depends on the largest.
        _plain.GroupTop(_stream, Grid1((long)rows * shape.Groups), from.View, groups, shape);
        _plain.GroupRank(_stream, Grid1((long)rows * shape.Groups), groups, slots, shape);
        _plain.Top(_stream, Grid1((long)rows * shape.Slots * members), from.View, groups, slots, answers, shape);
        _plain.Rest(_stream, Grid1((long)rows * (PlainTop.SumParts + shape.Asked)), from.View, groups, asked, answers, shape);
        var host = new float[rows * shape.Width];
        HostCopy.FromDevice(_stream, answers, host.AsSpan());
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> answer = host.AsSpan(row * shape.Width, shape.Width);
            for (int rank = 0; rank < tops.K; rank++)
            {
                tops.Columns[(row * tops.K) + rank] = (int)answer[rank];
                tops.Values[(row * tops.K) + rank] = answer[tops.K + rank];
            }

            double sum = 0;
            foreach (float part in answer.Slice(2 * tops.K, PlainTop.SumParts))
            {
                sum += part;
            }

            tops.Sums[row] = sum;
            answer[((2 * tops.K) + PlainTop.SumParts)..].CopyTo(tops.AskedValues.AsSpan(row * tops.Asked.Length));
        }
    }
}
