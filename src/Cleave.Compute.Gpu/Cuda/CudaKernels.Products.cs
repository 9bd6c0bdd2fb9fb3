using ILGPU;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>Which product kernel runs, over what grid, with how much of its weights in flight.</summary>
internal sealed partial class CudaKernels
{
    private const int RingBytes = 96 << 10;
    private const int RingParts = 3;
    private const int MostStageSteps = 8;

    /// <summary>y = x·Wᵀ + bias when y is given, residual += scale · that when residual is.</summary>
    public void MatMul(GpuTensor x, HeldNorm? norm, GpuWeight weight, GpuTensor? bias, GpuTensor? y, GpuTensor? residual, float scale, int rows)
    {
        var ends = new ProductEnds(bias, y, residual, scale, default, default);
        if (norm is not null)
        {
            Stream(weight, default, norm, ends, rows);
            return;
        }

        Product(weight, Packed(x, rows, weight.Type != ElementType.BF16), ends, rows);
    }

    /// <summary>y = silu(x·Gᵀ) · (x·Uᵀ), packed as well when a product reads y.</summary>
    public void GatedMatMul(GpuTensor x, HeldNorm? norm, GpuWeight weight, GpuTensor y, int rows)
    {
        PackedRows? packed = norm is null ? Packed(x, rows, weight.Type != ElementType.BF16) : null;
        (ArrayView<ushort> view, PackTarget target) = Target(y, rows);
        var ends = new ProductEnds(null, y, null, 0, target.Enabled != 0 ? view : default, target);
        if (packed is null)
        {
            Stream(weight, default, norm, ends, rows);
            return;
        }

        Product(weight, packed, ends, rows);
    }

    // What a product's sums become.
    private readonly record struct ProductEnds(GpuTensor? Bias, GpuTensor? Y, GpuTensor? Residual, float Scale, ArrayView<ushort> Packed, PackTarget Target);

    private void Product(GpuWeight weight, PackedRows packed, ProductEnds ends, int rows)
    {
        if (rows <= PackedRows.FewRows)
        {
            Stream(weight, packed.View, null, ends, rows);
            return;
        }

        int bands = WeightPacking.Bands(weight.Outputs);
        bool groups = GroupProducts && accelerator.Architecture is { Major: 9, Minor: 0 };
        int slotBytes = groups ? WarpgroupProduct.SlotBytes(weight.Type) : BlockProduct.SlotBytes(weight.Type);
        int slots = Math.Min(StreamProduct.MaxSlots, (226 << 10) / slotBytes);
        nint function = groups
            ? Function(WarpgroupProduct.Name(weight.Type, weight.IsGated), ptx => WarpgroupProduct.Emit(ptx, weight.Type, weight.IsGated), 227 << 10, "sm_90a")
            : Function(BlockProduct.Name(weight.Type, weight.IsGated), ptx => BlockProduct.Emit(ptx, weight.Type, weight.IsGated), 227 << 10);
        (int, int, int) grid = ((rows + BlockProduct.TileRows - 1) / BlockProduct.TileRows, (bands + BlockProduct.Bands - 1) / BlockProduct.Bands, 1);
        Arguments(weight, packed.View, ends, rows, BlockProduct.StageSteps, slots, BlockProduct.Bands)
            .Launch(_stream, function, grid, groups ? WarpgroupProduct.Threads : BlockProduct.Threads, StreamProduct.HeaderBytes + (slots * slotBytes), overlap: true);
    }

    private void Stream(GpuWeight weight, ArrayView<ushort> packed, HeldNorm? norm, ProductEnds ends, int rows)
    {
        int tiles = rows <= 8 ? 1 : rows <= 16 ? 2 : rows <= 32 ? 4 : 8;
        int steps = weight.Inputs / WeightPacking.Step;
        int bands = WeightPacking.Bands(weight.Outputs);
        int grid = Math.Min(_multiprocessors, bands);
        int bandsPerBlock = (bands + grid - 1) / grid;
        int mostWarps = StreamProduct.MaxWarps(weight.Type, tiles);
        int passes = (bandsPerBlock + mostWarps - 1) / mostWarps;
        int warps = (bandsPerBlock + passes - 1) / passes;

        // A stage: the largest power of two of steps up to eight that a third of the ring holds. Measured: large copies matter more than many,
        // and no larger ring helps: two products and an attention between them share a multiprocessor's memory.
        int normBytes = norm is null ? 0 : (64 * steps * rows) + (2 * RowNorm.SumBytes);
        int ringBytes = RingBytes - normBytes;
        int stepBytes = (warps * WeightPacking.StepBytes(weight.Type)) + (norm is null ? 64 * rows : 0);
        int stage = MostStageSteps;
        while (stage > 1 && stage * stepBytes > ringBytes / RingParts)
        {
            stage /= 2;
        }

        stage = Math.Min(stage, steps);
        int slotBytes = stage * stepBytes;
        int slots = Math.Clamp(ringBytes / slotBytes, 2, StreamProduct.MaxSlots);
        int runs = norm is null ? 0 : RowNorm.Passes(norm.Shape.Columns);
        nint function = Function(StreamProduct.Name(weight.Type, tiles, weight.IsGated, runs), ptx => StreamProduct.Emit(ptx, weight.Type, tiles, weight.IsGated, runs), 227 << 10);
        CudaArguments arguments = Arguments(weight, packed, ends, rows, stage, slots, warps);
        arguments = norm is null
            ? arguments.Add(0L).Add(0L).Add(0L).Add(0).Add(0).Add(0).Add(0f)
            : NormArguments(arguments, norm.From, norm.Factors, norm.To, norm.Shape);
        int threads = 32 + (norm is null ? 32 * warps : RowNorm.Threads);
        arguments.Launch(_stream, function, (grid, 1, 1), threads, StreamProduct.HeaderBytes + (slots * slotBytes) + normBytes, overlap: true);
    }

    private static CudaArguments Arguments(GpuWeight weight, ArrayView<ushort> packed, ProductEnds ends, int rows, int stage, int slots, int warps) =>
        new CudaArguments().AddPointer(weight.View).AddPointer(packed).AddPointer(ends.Bias?.View ?? default).AddPointer(ends.Y?.View ?? default)
            .AddPointer(ends.Residual?.View ?? default).AddPointer(ends.Packed)
            .Add(weight.Inputs / WeightPacking.Step).Add(weight.IsGated ? weight.Outputs / 2 : weight.Outputs).Add(rows).Add(WeightPacking.Bands(weight.Outputs))
            .Add(ends.Y?.Stride ?? 0).Add(ends.Residual?.Stride ?? 0)
            .Add(ends.Scale).Add(weight.Type == ElementType.BF16 ? 1f : 1 / WeightPacking.HalfScale).Add(stage).Add(slots).Add(warps)
            .Add(Math.Max(1, ends.Target.TileRows)).Add(ends.Target.Columns);
}
