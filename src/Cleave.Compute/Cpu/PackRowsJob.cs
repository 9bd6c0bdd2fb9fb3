namespace Cleave.Compute.Cpu;

/// <summary>
/// <see cref="KernelSet.PackRows"/> of one block of rows after the other, on all threads: a prompt's rows take a share of the time that a
/// single thread would make felt.
/// </summary>
internal sealed unsafe class PackRowsJob : ParallelJob
{
    /// <summary>Rows of a whole part; blocks are a multiple of it.</summary>
    private const int PartRows = 8;

    private float* _x;
    private long _xStride;
    private int _wholeParts;
    private int _rest;
    private int _k;
    private float* _packed;

    /// <summary>Packs <paramref name="rows"/> rows in blocks of <paramref name="blockRows"/>, a multiple of eight; the last may be smaller.</summary>
    public void Run(ThreadTeam team, float* x, long xStride, int rows, int blockRows, int k, float* packed)
    {
        _x = x;
        _xStride = xStride;
        _wholeParts = rows / blockRows * (blockRows / PartRows);
        _rest = rows % blockRows;
        _k = k;
        _packed = packed;
        team.Run(this, _wholeParts + ((_rest + PartRows - 1) / PartRows));
    }

    public override void Run(int item, int worker)
    {
        int first = Math.Min(item, _wholeParts) * PartRows;
        int count = PartRows;
        if (item >= _wholeParts)
        {
            // The rows behind the last whole block are cut into equal parts, whatever their number.
            int left = _rest;
            count = KernelSet.PartRows(left);
            for (int part = _wholeParts; part < item; part++)
            {
                first += count;
                left -= count;
                count = KernelSet.PartRows(left);
            }
        }

        KernelSet.PackRows(_x + (first * _xStride), _xStride, count, _k, _packed + ((long)first * _k));
    }
}
