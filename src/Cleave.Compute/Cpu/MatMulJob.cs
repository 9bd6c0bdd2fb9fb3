using Cleave.Compute.Cpu.Packed;

namespace Cleave.Compute.Cpu;

/// <summary>
/// y = x · wᵀ + bias. A few rows read the weights in place; more rows unpack a few weight rows at a time to float32, in
/// cache, and multiply all rows by them. Both follow the same schedule along K, so a row's bits do not depend on which is used.
/// </summary>
internal sealed unsafe class MatMulJob(KernelSet kernels, WorkerScratch scratch, WorkerScratch packedRows) : ParallelJob
{
    /// <summary>Floats of x, a slice of a block of rows, that stay in a core's second-level cache while a panel passes over them.</summary>
    private const int RowBlockFloats = 96 * 1024;

    /// <summary>Numbers along K multiplied at once: 8 weight rows and 3 rows of x take 22 KB. A multiple of every block length.</summary>
    private const int Slice = 512;

    /// <summary>A last slice may be this much, rather than leave a short one.</summary>
    private const int MostSlice = 640;

    private const int PanelFloats = KernelSet.PanelOutputs * (MostSlice + 16);

    /// <summary>Packed numbers of x that leave room for weights in the first-level cache; more are multiplied in slices.</summary>
    private const int PartFloats = 8 * 1024;

    /// <summary>
    /// Numbers along K that weights read in place are multiplied by at once: longer than a panel's slice, because shorter pieces of rows
    /// leave the memory idle between them (measured at eight rows: 512 reach 54 % of the multipliers' peak, 1024 reach 64 %).
    /// </summary>
    private const int InPlaceSlice = 1024;

    private const int MostInPlaceSlice = 1280;

    /// <summary>Outputs that a slice goes over before the next: their lanes take 33 KB for eight rows. A multiple of two and three.</summary>
    private const int ChunkOutputs = 66;

    /// <summary>Rows that pass over a packed matrix together: their x stays near the core (1 MB at K 4096) while the chunks go by.</summary>
    private const int PackedBlockRows = 64;

    /// <summary>Rows from which x, not the weights, decides how few outputs an item may have.</summary>
    private const int ManyPackedRows = 16;

    /// <summary>Multiply-adds that make an item worth claiming (about two microseconds).</summary>
    private const long ItemWork = 64 * 1024;

    private readonly PackRowsJob _packRows = new();
    private CpuWeight _weight = null!;
    private float* _x;
    private long _xStride;
    private float* _bias;
    private float* _y;
    private long _yStride;
    private int _rows;
    private int _paddedK;
    private int _outputsPerItem;
    private int _rowsPerBlock;
    private int _outputItems;
    private bool _inPlace;

    public void Run(ThreadTeam team, float* x, long xStride, CpuWeight weight, float* bias, float* y, long yStride, int rows)
    {
        int k = weight.Inputs;
        _weight = weight;
        _x = x;
        _xStride = xStride;
        _bias = bias;
        _y = y;
        _yStride = yStride;
        _rows = rows;
        _paddedK = (k + 15) & ~15;
        _inPlace = weight.Packed is not null || rows <= kernels.MostDotRows(weight.Type, k);
        int step = !_inPlace ? KernelSet.PanelOutputs : weight.Packed is null ? 4 : PackedLayout.TileOutputs;
        _rowsPerBlock = !_inPlace ? Math.Clamp(RowBlockFloats / Math.Min(_paddedK, MostSlice), 24, 256) : weight.Packed is null ? rows : PackedBlockRows;
        _rowsPerBlock = Math.Min(rows, _rowsPerBlock);
        if (_paddedK != k)
        {
            PadRows(k);
        }
        else if (_inPlace && rows > 1)
        {
            packedRows.Reserve((long)rows * k * sizeof(float));
            _x = (float*)packedRows.Of(0);
            if (rows > ManyPackedRows)
            {
                _packRows.Run(team, x, xStride, rows, PackedBlockRows, k, _x);
            }
            else
            {
                KernelSet.PackRows(x, xStride, rows, k, _x);
            }
        }

        if (_inPlace)
        {
            scratch.Reserve(ChunkOutputs * 8 * 16 * sizeof(float));
        }
        else
        {
            scratch.Reserve((PanelFloats + ((long)_rowsPerBlock * KernelSet.CarryFloats)) * sizeof(float));
        }

        int rowBlocks = (rows + _rowsPerBlock - 1) / _rowsPerBlock;
        long work = (long)_rowsPerBlock * _paddedK * weight.Outputs;
        long items = Math.Clamp(work / ItemWork, 1, 8L * team.Size);
        _outputsPerItem = (int)((weight.Outputs + items - 1) / items);
        if (weight.Packed is not null)
        {
            // Whole chunks, whose bytes follow one another; many rows are worth half a chunk at least.
            step = _outputsPerItem >= 8 * PackedLayout.ChunkOutputs ? PackedLayout.ChunkOutputs
                : rows > ManyPackedRows ? PackedLayout.ChunkOutputs / 2 : step;
        }

        _outputsPerItem = (_outputsPerItem + step - 1) / step * step;
        _outputItems = (weight.Outputs + _outputsPerItem - 1) / _outputsPerItem;
        team.Run(this, _outputItems * rowBlocks);
    }

    public override void Run(int item, int worker)
    {
        int firstRow = item / _outputItems * _rowsPerBlock;
        int output = item % _outputItems * _outputsPerItem;
        int end = Math.Min(output + _outputsPerItem, _weight.Outputs);
        int rows = Math.Min(_rowsPerBlock, _rows - firstRow);
        float* y = _y + (firstRow * _yStride);
        if (_weight.Packed is { } matrix)
        {
            MultiplyPacked(matrix, output, end, _x + ((long)firstRow * _paddedK), rows, y, (float*)scratch.Of(worker));
            AddBias(y, output, end - output, rows);
            return;
        }

        while (output < end)
        {
            byte* weights = _weight.Rows(output, out int contiguous);
            int count = Math.Min(contiguous, end - output);
            if (_inPlace)
            {
                MultiplyInPlace(rows, weights, count, y + output, worker);
            }
            else
            {
                count = Math.Min(count, KernelSet.PanelOutputs);
                MultiplyPanel(_x + (firstRow * _xStride), rows, weights, count, y + output, (float*)scratch.Of(worker));
            }

            AddBias(y, output, count, rows);
            output += count;
        }
    }

    /// <summary>
    /// Parts of at most eight rows; where a part of x is larger than the first-level cache, slices along K over a few outputs at a
    /// time (measured at K 4096 and eight rows: the second-level cache held the multipliers to half their rate).
    /// </summary>
    private void MultiplyInPlace(int rows, byte* weights, int outputs, float* y, int worker)
    {
        float* x = _x;
        while (rows > 0)
        {
            int count = KernelSet.PartRows(rows);
            if (count < KernelSet.FewestSlicedRows || count * _paddedK <= PartFloats)
            {
                kernels.Dot(_weight.Type, x, count, weights, _weight.RowBytes, outputs, _paddedK, y, _yStride, null, TilePart.Whole);
            }
            else
            {
                float* carry = (float*)scratch.Of(worker);
                for (int output = 0; output < outputs; output += ChunkOutputs)
                {
                    MultiplySlices(x, count, weights + (output * _weight.RowBytes), Math.Min(ChunkOutputs, outputs - output), y + output, carry);
                }
            }

            x += (long)count * _paddedK;
            y += count * _yStride;
            rows -= count;
        }
    }

    private void MultiplySlices(float* x, int rows, byte* weights, int outputs, float* y, float* carry)
    {
        TilePart resume = TilePart.Whole;
        for (int start = 0; start < _paddedK;)
        {
            int rest = _paddedK - start;
            int slice = rest <= MostInPlaceSlice ? rest : InPlaceSlice;
            TilePart part = slice < rest ? resume | TilePart.Pause : resume;
            byte* from = weights + _weight.Type.RowBytes(start);
            kernels.Dot(_weight.Type, x + ((long)start * rows), rows, from, _weight.RowBytes, outputs, slice, y, _yStride, carry, part);
            resume = TilePart.Resume;
            start += slice;
        }
    }

    /// <summary>
    /// Outputs from a tile's first on, chunk by chunk in slices along K, in the order in which their bytes lie; all parts of eight rows but the
    /// first find a chunk in the second-level cache. That also is the way for prompts: faster than panels of float32 beyond the caches (measured
    /// at 96 rows: 73 % of the multipliers' peak against 62 %).
    /// </summary>
    private void MultiplyPacked(PackedMatrix matrix, int output, int end, float* x, int rows, float* y, float* carry)
    {
        while (output < end)
        {
            int count = Math.Min(end, (output / PackedLayout.ChunkOutputs * PackedLayout.ChunkOutputs) + PackedLayout.ChunkOutputs) - output;
            float* from = x;
            float* sums = y + output;
            for (int left = rows; left > 0;)
            {
                int part = KernelSet.PartRows(left);
                for (int start = 0; start < _paddedK; start += PackedLayout.Slice)
                {
                    int slice = Math.Min(PackedLayout.Slice, _paddedK - start);
                    TilePart which = (start > 0 ? TilePart.Resume : TilePart.Whole) | (start + slice < _paddedK ? TilePart.Pause : TilePart.Whole);
                    PackedTiles.Multiply(
                        from + ((long)start * part), part, matrix, output / PackedLayout.TileOutputs, start / PackedLayout.UnitNumbers,
                        slice / PackedLayout.UnitNumbers, count, sums, (nint)_yStride, carry, which);
                }

                from += (long)part * _paddedK;
                sums += part * _yStride;
                left -= part;
            }

            output += count;
        }
    }

    /// <summary>Slices along K, so that a panel stays in the first-level cache while all rows pass over it.</summary>
    private void MultiplyPanel(float* x, int rows, byte* weights, int outputs, float* y, float* panel)
    {
        float* carry = panel + PanelFloats;
        TilePart resume = TilePart.Whole;
        for (int start = 0; start < _paddedK;)
        {
            int rest = _paddedK - start;
            int slice = rest <= MostSlice ? rest : Slice;
            TilePart part = slice < rest ? resume | TilePart.Pause : resume;
            int count = Math.Min(slice, _weight.Inputs - start);
            kernels.UnpackPanel(_weight.Type, weights + _weight.Type.RowBytes(start), _weight.RowBytes, outputs, count, panel, slice);
            kernels.Tile(x + start, _xStride, rows, panel, outputs, slice, y, _yStride, carry, part);
            resume = TilePart.Resume;
            start += slice;
        }
    }

    private void AddBias(float* y, int output, int count, int rows)
    {
        if (_bias == null)
        {
            return;
        }

        for (int row = 0; row < rows; row++)
        {
            for (int i = output; i < output + count; i++)
            {
                y[(row * _yStride) + i] += _bias[i];
            }
        }
    }

    /// <summary>Copies x to rows with zeros up to a multiple of 16.</summary>
    private void PadRows(int k)
    {
        packedRows.Reserve((long)_rows * _paddedK * sizeof(float));
        float* padded = (float*)packedRows.Of(0);
        for (int row = 0; row < _rows; row++)
        {
            new Span<float>(_x + (row * _xStride), k).CopyTo(new Span<float>(padded + ((long)row * _paddedK), k));
            new Span<float>(padded + ((long)row * _paddedK) + k, _paddedK - k).Clear();
        }

        _x = padded;
        _xStride = _paddedK;
    }
}
