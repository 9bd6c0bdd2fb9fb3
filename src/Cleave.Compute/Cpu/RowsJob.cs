namespace Cleave.Compute.Cpu;

/// <summary>The operations that treat each row by itself, over ranges of rows.</summary>
internal sealed unsafe class RowsJob(KernelSet kernels, WorkerScratch scratch) : ParallelJob
{
    /// <summary>Numbers that make an item worth claiming.</summary>
    private const long ItemNumbers = 8 * 1024;

    private enum Operation
    {
        RmsNorm,
        Rope,
        StoreKv,
        GatedActivation,
        AddScaled,
        ScaleAndCap,
    }

    private Operation _operation;
    private CpuTensor _a = null!;
    private CpuTensor? _b;
    private CpuTensor? _c;
    private float _scale;
    private float _cap;
    private int _groups;
    private int _rows;
    private int _rowsPerItem;
    private Activation _activation;
    private AttentionPlan _plan = null!;
    private RopeTable _table = null!;
    private float[] _cosSin = [];
    private CpuKvArena _arena = null!;
    private int _layer;

    /// <summary>_c = norm(_a) · _b.</summary>
    public void RmsNorm(ThreadTeam team, CpuTensor x, CpuTensor weight, float epsilon, CpuTensor y, int rows, int groups)
    {
        (_operation, _a, _b, _c, _scale, _groups) = (Operation.RmsNorm, x, weight, y, epsilon, groups);
        Run(team, rows, x.ColumnCount);
    }

    /// <summary>Rotates heads of _groups numbers.</summary>
    public void Rope(ThreadTeam team, CpuTensor x, int headDim, RopeTable table, AttentionPlan plan)
    {
        (_operation, _a, _groups, _table, _plan) = (Operation.Rope, x, headDim, table, plan);
        _cosSin = table.For(plan.MaxLength);
        scratch.Reserve(2L * table.RowLength * sizeof(float));
        Run(team, plan.Rows.Length, 2 * x.ColumnCount);
    }

    public void StoreKv(ThreadTeam team, CpuTensor keys, CpuTensor values, CpuKvArena arena, int layer, AttentionPlan plan)
    {
        (_operation, _a, _b, _arena, _layer, _plan) = (Operation.StoreKv, keys, values, arena, layer, plan);
        Run(team, plan.Rows.Length, (arena.Type == ElementType.F32 ? 1 : 8) * keys.ColumnCount);
    }

    public void GatedActivation(ThreadTeam team, CpuTensor gate, CpuTensor up, Activation activation, CpuTensor y, int rows)
    {
        (_operation, _a, _b, _c, _activation) = (Operation.GatedActivation, gate, up, y, activation);
        Run(team, rows, 4 * gate.ColumnCount);
    }

    public void AddScaled(ThreadTeam team, CpuTensor x, CpuTensor y, float scale, int rows)
    {
        (_operation, _a, _b, _scale) = (Operation.AddScaled, x, y, scale);
        Run(team, rows, x.ColumnCount);
    }

    public void ScaleAndCap(ThreadTeam team, CpuTensor x, float scale, float cap, int rows)
    {
        (_operation, _a, _scale, _cap) = (Operation.ScaleAndCap, x, scale, cap);
        Run(team, rows, 4 * x.ColumnCount);
    }

    public override void Run(int item, int worker)
    {
        int end = Math.Min((item + 1) * _rowsPerItem, _rows);
        for (int row = item * _rowsPerItem; row < end; row++)
        {
            RunRow(row, worker);
        }
    }

    private void Run(ThreadTeam team, int rows, long costPerRow)
    {
        _rows = rows;
        long items = Math.Clamp(rows * costPerRow / ItemNumbers, 1, Math.Min(rows, 4L * team.Size));
        _rowsPerItem = (int)((rows + items - 1) / items);
        team.Run(this, (rows + _rowsPerItem - 1) / _rowsPerItem);
    }

    private void RunRow(int row, int worker)
    {
        switch (_operation)
        {
            case Operation.RmsNorm:
                int length = _a.ColumnCount / _groups;
                bool oneWeight = _b!.ColumnCount == length;
                for (int group = 0; group < _groups; group++)
                {
                    int start = group * length;
                    kernels.RmsNorm(_a.Row(row) + start, _b.Pointer + (oneWeight ? 0 : start), _scale, _c!.Row(row) + start, length);
                }

                break;
            case Operation.Rope:
                RotateRow(row, worker);
                break;
            case Operation.StoreKv:
                int slot = _plan.Rows[row].Slot;
                StoreRow(_a.Row(row), _arena.Keys(_layer) + (slot * _arena.RowBytes));
                StoreRow(_b!.Row(row), _arena.Values(_layer) + (slot * _arena.RowBytes));
                break;
            case Operation.GatedActivation:
                kernels.GatedActivation(_activation, _a.Row(row), _b!.Row(row), _c!.Row(row), _a.ColumnCount);
                break;
            case Operation.AddScaled:
                kernels.AddScaled(_a.Row(row), _b!.Row(row), _scale, _a.ColumnCount);
                break;
            case Operation.ScaleAndCap:
                kernels.ScaleAndCap(_a.Row(row), _scale, _cap, _a.ColumnCount);
                break;
        }
    }

    private void RotateRow(int row, int worker)
    {
        int pairs = _table.Pairs;
        int columns = _a.ColumnCount;
        float* x = _a.Row(row);
        fixed (float* table = _cosSin)
        {
            float* cos = table + ((long)_plan.Rows[row].Position * _table.RowLength);
            float* sin = cos + pairs;
            if (_table.Layout == RopeLayout.Halves)
            {
                for (int head = 0; head < columns; head += _groups)
                {
                    kernels.RotateHalves(x + head, cos, sin, pairs);
                }

                return;
            }

            float* cosTwice = (float*)scratch.Of(worker);
            float* signedSin = cosTwice + (2 * pairs);
            for (int i = 0; i < pairs; i++)
            {
                cosTwice[2 * i] = cos[i];
                cosTwice[(2 * i) + 1] = cos[i];
                signedSin[2 * i] = -sin[i];
                signedSin[(2 * i) + 1] = sin[i];
            }

            for (int head = 0; head < columns; head += _groups)
            {
                kernels.RotateInterleaved(x + head, cosTwice, signedSin, 2 * pairs);
            }
        }
    }

    private void StoreRow(float* source, byte* destination)
    {
        int columns = _arena.Columns;
        switch (_arena.Type)
        {
            case ElementType.F32:
                new Span<float>(source, columns).CopyTo(new Span<float>(destination, columns));
                break;
            case ElementType.F16:
                for (int i = 0; i < columns; i++)
                {
                    ((ushort*)destination)[i] = QuantBlocks.ToF16(source[i]);
                }

                break;
            case ElementType.BF16:
                for (int i = 0; i < columns; i++)
                {
                    ((ushort*)destination)[i] = QuantBlocks.ToBF16(source[i]);
                }

                break;
            default:
                for (int i = 0; i < columns; i += 32)
                {
                    QuantBlocks.PackQ8(source + i, destination);
                    destination += ElementType.Q8_0.BlockBytes();
                }

                break;
        }
    }
}
