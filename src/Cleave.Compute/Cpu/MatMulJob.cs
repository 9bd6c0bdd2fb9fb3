namespace Cleave.Compute.Cpu;

/// <summary>
/// y = x · wᵀ + bias. One row reads the weights in place; several rows unpack a few weight rows at a time to float32, in
/// cache, and multiply all rows by them. Both follow the same schedule along K, so a row's bits do not depend on which is used.
/// </summary>
internal sealed unsafe class MatMulJob(KernelSet kernels, WorkerScratch scratch, WorkerScratch padding) : ParallelJob
{
    /// <summary>Floats of x that stay in a core's second-level cache while every panel passes over them.</summary>
    private const int RowBlockFloats = 96 * 1024;

    /// <summary>Multiply-adds that make an item worth claiming (about two microseconds).</summary>
    private const long ItemWork = 64 * 1024;

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
        _inPlace = rows == 1 && _paddedK == k && kernels.HasDot(weight.Type);
        if (_paddedK != k)
        {
            PadRows(k);
        }

        if (!_inPlace)
        {
            scratch.Reserve((long)KernelSet.PanelOutputs * _paddedK * sizeof(float));
        }

        int step = _inPlace ? 4 : KernelSet.PanelOutputs;
        _rowsPerBlock = Math.Clamp(RowBlockFloats / _paddedK, 8, 256);
        _rowsPerBlock = Math.Min(rows, _rowsPerBlock);
        int rowBlocks = (rows + _rowsPerBlock - 1) / _rowsPerBlock;
        long work = (long)_rowsPerBlock * _paddedK * weight.Outputs;
        long items = Math.Clamp(work / ItemWork, 1, 8L * team.Size);
        _outputsPerItem = (int)((weight.Outputs + items - 1) / items);
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
        while (output < end)
        {
            byte* weights = _weight.Rows(output, out int contiguous);
            int count = Math.Min(contiguous, end - output);
            if (_inPlace)
            {
                kernels.Dot(_weight.Type, _x, weights, _weight.RowBytes, count, _paddedK, y + output);
            }
            else
            {
                count = Math.Min(count, KernelSet.PanelOutputs);
                float* panel = (float*)scratch.Of(worker);
                FillPanel(panel, weights, count);
                kernels.Tile(_x + (firstRow * _xStride), _xStride, rows, panel, count, _paddedK, y + output, _yStride);
            }

            AddBias(y, output, count, rows);
            output += count;
        }
    }

    private void FillPanel(float* panel, byte* weights, int outputs)
    {
        int k = _weight.Inputs;
        for (int i = 0; i < outputs; i++)
        {
            float* row = panel + ((long)i * _paddedK);
            kernels.Unpack(_weight.Type, weights + (i * _weight.RowBytes), row, k);
            new Span<float>(row + k, _paddedK - k).Clear();
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
        padding.Reserve((long)_rows * _paddedK * sizeof(float));
        float* padded = (float*)padding.Of(0);
        for (int row = 0; row < _rows; row++)
        {
            new Span<float>(_x + (row * _xStride), k).CopyTo(new Span<float>(padded + ((long)row * _paddedK), k));
            new Span<float>(padded + ((long)row * _paddedK) + k, _paddedK - k).Clear();
        }

        _x = padded;
        _xStride = _paddedK;
    }
}
