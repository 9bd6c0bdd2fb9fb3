using System.Reflection;
using System.Text.RegularExpressions;
using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The fast path of NVIDIA GPUs from compute capability 9.0 on: tensor-core products and attention, and row kernels that overlap. PTX is
/// made and compiled by the driver on first use. Everything runs on the accelerator's default stream.
/// </summary>
internal sealed partial class CudaKernels(CudaAccelerator accelerator, Action<long> account) : IDisposable
{
    private const int DirectBlocks = 2;
    private const int PartialLimitBytes = 96 << 20;

    private readonly CudaStream _stream = (CudaStream)accelerator.DefaultStream;
    private readonly Dictionary<string, nint> _functions = [];
    private readonly List<nint> _modules = [];
    private readonly Scratch<float> _partial = new(accelerator, account);
    private readonly Scratch<float> _statistics = new(accelerator, account);
    private readonly Scratch<int> _tiles = new(accelerator, account);
    private readonly List<int> _tileList = [];
    private readonly int _multiprocessors = accelerator.NumMultiprocessors;
    private AttentionPlan? _tilePlan;
    private long _tileRevision;
    private int _tileGroup;
    private int _tileWindow;

    /// <summary>False keeps to <see cref="BlockProduct"/> where <see cref="WarpgroupProduct"/> would run: same bits, for checking.</summary>
    public bool GroupProducts { get; set; } = true;

    public static bool Supports(CudaAccelerator cuda) => Supports(cuda.Architecture);

    public static bool Supports(CudaArchitecture? architecture) => architecture is { } value && value.Major >= 9;

    /// <summary>Uploads stacked rows in pieces and lays them out for the tensor cores; gated: the first of two matrices beside the second.</summary>
    public void Pack(IReadOnlyList<TensorData> stacked, int outputs, int inputs, bool gated, ArrayView<ushort> packed)
    {
        ElementType type = stacked[0].Type;
        int rowUnits = checked((int)(stacked[0].RowBytes / 2));
        int pieceRows = (int)Math.Clamp((64L << 20) / (2L * rowUnits) / WeightPacking.BandRows * WeightPacking.BandRows, WeightPacking.BandRows, 1 << 20);
        pieceRows = Math.Min(pieceRows, WeightPacking.Bands(outputs) * WeightPacking.BandRows);
        using MemoryBuffer1D<ushort, Stride1D.Dense> staging = accelerator.Allocate1D<ushort>((long)pieceRows * rowUnits);
        nint kernel = RowKernel(nameof(CudaRowKernels.PackWeight));
        for (int first = 0; first < outputs; first += pieceRows)
        {
            int rows = Math.Min(pieceRows, outputs - first);
            int gates = gated ? rows / 2 : 0;
            if (gated)
            {
                Stage([stacked[0]], first / 2, gates, staging.View.BaseView);
                Stage([stacked[1]], first / 2, gates, staging.View.BaseView.SubView((long)gates * rowUnits, (long)gates * rowUnits));
            }
            else
            {
                Stage(stacked, first, rows, staging.View.BaseView);
            }

            var shape = new MatMulShape { Rows = rows, Inputs = inputs, RowUnits = rowUnits };
            long threads = (long)WeightPacking.Bands(rows) * (inputs / WeightPacking.Step) * 32;
            new CudaArguments().Add(staging.View.BaseView).Add(packed).Add(shape).Add(first / WeightPacking.BandRows).Add((int)type).Add(gates)
                .Launch(_stream, kernel, ((int)((threads + 127) / 128), 1, 1), 128, 0, overlap: false);
        }

        _stream.Synchronize();
    }

    // Rows from 'first' on of matrices on top of one another; a piece may span several.
    private unsafe void Stage(IReadOnlyList<TensorData> stacked, long first, int rows, ArrayView<ushort> staging)
    {
        int filled = 0;
        foreach (TensorData source in stacked)
        {
            if (first >= source.Rows)
            {
                first -= source.Rows;
                continue;
            }

            int rowUnits = checked((int)(source.RowBytes / 2));
            int take = (int)Math.Min(rows - filled, source.Rows - first);
            var bytes = new ReadOnlySpan<ushort>(source.Pointer + (first * source.RowBytes), checked(take * rowUnits));
            HostCopy.ToDevice(_stream, bytes, staging.SubView((long)filled * rowUnits, bytes.Length));
            GC.KeepAlive(source);
            filled += take;
            first = 0;
            if (filled == rows)
            {
                return;
            }
        }
    }

    public void Gather(GpuWeight weight, ArrayView<int> ids, int rows, float scale, GpuTensor to)
    {
        var shape = new MatMulShape { Rows = rows, Inputs = weight.Inputs, YStride = to.Stride };
        new CudaArguments().Add(weight.View).Add(ids).Add(to.View).Add(shape).Add(scale).Add((int)weight.Type)
            .Launch(_stream, RowKernel(nameof(CudaRowKernels.Gather)), ((weight.Inputs + 127) / 128, rows, 1), 128, 0, overlap: false);
    }

    /// <summary>True when the product that reads this norm's result next may make the norm itself.</summary>
    public static bool CanHold(GpuTensor x, GpuTensor weight, GpuTensor y, RowShape shape) =>
        shape.Rows <= StreamProduct.NormRows && RowNorm.Takes(shape.Columns, shape.Groups) && Aligned(x) && Aligned(weight) && Aligned(y) && !ReferenceEquals(x.Buffer, y.Buffer);

    public void RmsNorm(GpuTensor x, GpuTensor weight, GpuTensor y, RowShape shape)
    {
        (ArrayView<ushort> packed, PackTarget target) = Target(y, shape.Rows);
        if (RowNorm.Takes(shape.Columns, shape.Groups))
        {
            int passes = RowNorm.Passes(shape.Columns);
            bool aligned = Aligned(x) && Aligned(weight) && Aligned(y);
            bool half = target.Half != 0;
            nint function = Function(RowNorm.Name(passes, half, aligned), ptx => RowNorm.Emit(ptx, passes, half, aligned), 0);
            NormArguments(new CudaArguments(), x, weight, y, shape).AddPointer(target.Enabled != 0 ? packed : default).Add(Math.Max(1, target.TileRows)).Add(target.Columns)
                .Launch(_stream, function, (shape.Rows, 1, 1), RowNorm.Threads, RowNorm.SumBytes, overlap: true);
            return;
        }

        new CudaArguments().Add(x.View).Add(weight.View).Add(y.View).Add(packed).Add(shape).Add(target)
            .Launch(_stream, RowKernel(nameof(CudaRowKernels.RmsNorm)), (shape.Rows, shape.Groups, 1), CudaRowKernels.NormThreads, 0, overlap: true);
    }

    public void Gate(GpuTensor gate, GpuTensor up, GpuTensor y, RowShape shape)
    {
        (ArrayView<ushort> packed, PackTarget target) = Target(y, shape.Rows);
        Require(shape.Rows);
        new CudaArguments().Add(gate.View).Add(up.View).Add(y.View).Add(packed).Add(shape).Add(target)
            .Launch(_stream, RowKernel(nameof(CudaRowKernels.Gate)), ((shape.Columns + 255) / 256, shape.Rows, 1), 256, 0, overlap: true);
    }

    public static bool CanRopeAndStore(GpuKvArena arena, int headDim) => arena.Type is ElementType.F16 or ElementType.BF16 && headDim % 2 == 0;

    public void RopeAndStore(
        GpuTensor q, GpuTensor k, GpuTensor v, int headDim, RopeTable table, ArrayView<float> numbers, GpuKvArena arena, int layer, PlanUpload plan, int rows)
    {
        int heads = q.ColumnCount / headDim;
        int kvHeads = k.ColumnCount / headDim;
        var rope = new RopeSizes { Rows = rows, Heads = heads, HeadDim = headDim, Pairs = table.Pairs, Stride = k.Stride, Interleaved = table.Layout == RopeLayout.Interleaved ? 1 : 0 };
        var sizes = new AttentionSizes
        {
            Rows = rows,
            Heads = heads,
            KvHeads = kvHeads,
            HeadDim = headDim,
            QStride = q.Stride,
            YStride = v.Stride,
            KvType = (int)arena.Type,
            RowUnits = arena.RowUnits,
            KeyOffset = arena.KeyOffset(layer),
            ValueOffset = arena.ValueOffset(layer),
        };
        int threads = (heads + (2 * kvHeads)) * headDim / 2;
        new CudaArguments().Add(q.View).Add(k.View).Add(v.View).Add(numbers).Add(plan.Rows).Add(arena.View).Add(rope).Add(sizes)
            .Launch(_stream, RowKernel(nameof(CudaRowKernels.RopeAndStore)), ((threads + 127) / 128, rows, 1), 128, 0, overlap: true);
    }

    public static bool CanAttend(GpuKvArena arena, AttentionShape shape) =>
        arena.Type is ElementType.F16 or ElementType.BF16 && shape.HeadDim is 64 or 128 && shape.SoftCap == 0 && shape.Heads / shape.KvHeads <= FlashAttention.QueryRows;

    public void Attention(GpuTensor q, GpuKvArena arena, int layer, AttentionPlan plan, PlanUpload upload, AttentionShape shape, GpuTensor y)
    {
        int rows = plan.Rows.Length;
        int group = shape.Heads / shape.KvHeads;
        if (!ReferenceEquals(plan, _tilePlan) || plan.Revision != _tileRevision || group != _tileGroup || shape.Window != _tileWindow)
        {
            _tilePlan = plan;
            _tileRevision = plan.Revision;
            MakeTiles(plan, FlashAttention.QueryRows / group, shape.Window);
            _tileGroup = group;
            _tileWindow = shape.Window;
            ArrayView<int> view = _tiles.Get(Math.Max(1024, _tileList.Count));
            HostCopy.ToDevice<int>(_stream, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_tileList), view);
        }

        bool half = arena.Type == ElementType.F16;
        int tiles = _tileList.Count / 4;
        int blocks = (plan.MaxLength + FlashAttention.BlockLength - 1) / FlashAttention.BlockLength;
        long partials = (long)rows * shape.Heads * blocks * shape.HeadDim;

        // Few rows and a long history: one block of threads per position block and a merge; else each block of threads goes through its history
        // itself. Same bits.
        bool split = blocks > DirectBlocks && (long)tiles * shape.KvHeads < 2L * _multiprocessors && partials * 4 <= PartialLimitBytes;
        (ArrayView<ushort> packed, PackTarget target) = Target(y, rows);
        ArrayView<float> partial = split ? _partial.Get(partials) : default;
        ArrayView<float> statistics = split ? _statistics.Get(2L * rows * shape.Heads * blocks) : default;
        nint function = Function(FlashAttention.Name(shape.HeadDim, half), ptx => FlashAttention.Emit(ptx, shape.HeadDim, half), FlashAttention.SharedBytes(shape.HeadDim));
        new CudaArguments().AddPointer(q.View).AddPointer(arena.View).AddPointer(upload.Rows).AddPointer(upload.Tables).AddPointer(upload.Tails).AddPointer(_tiles.Get(1))
            .AddPointer(partial).AddPointer(statistics).AddPointer(y.View).AddPointer(target.Enabled != 0 ? packed : default).Add(2 * arena.KeyOffset(layer)).Add(2 * arena.ValueOffset(layer))
            .Add(q.Stride).Add(y.Stride).Add(2 * arena.RowUnits).Add(group).Add(shape.Heads).Add(blocks).Add(shape.Window).Add(shape.Scale * 1.44269504f)
            .Add(Math.Max(1, target.TileRows)).Add(y.ColumnCount).Add(target.Half)
            .Launch(_stream, function, (tiles, shape.KvHeads, split ? blocks : 1), FlashAttention.Threads, FlashAttention.SharedBytes(shape.HeadDim), overlap: true);
        if (!split)
        {
            return;
        }

        bool packHalf = target.Enabled != 0 ? target.Half != 0 : half;
        nint merge = Function(FlashAttention.MergeName(shape.HeadDim, packHalf), ptx => FlashAttention.EmitMerge(ptx, shape.HeadDim, packHalf), 0);
        new CudaArguments().AddPointer(partial).AddPointer(statistics).AddPointer(upload.Rows).AddPointer(y.View).AddPointer(target.Enabled != 0 ? packed : default)
            .Add(y.Stride).Add(shape.Heads).Add(blocks).Add(shape.Window).Add(Math.Max(1, target.TileRows)).Add(y.ColumnCount)
            .Launch(_stream, merge, (rows, shape.Heads, 1), shape.HeadDim, 0, overlap: true);
    }

    public void Dispose()
    {
        _partial.Dispose();
        _statistics.Dispose();
        _tiles.Dispose();
        foreach (nint module in _modules)
        {
            _ = CudaAPI.CurrentAPI.DestroyModule(module);
        }
    }

    // Grids are at most 65535 high.
    private static void Require(int rows)
    {
        if (rows > 65535)
        {
            throw new ArgumentException("a step of more than 65535 rows is too large for this device; use smaller chunks");
        }
    }

    private static CudaArguments NormArguments(CudaArguments arguments, GpuTensor x, GpuTensor weight, GpuTensor y, RowShape shape) =>
        arguments.AddPointer(x.View).AddPointer(weight.View).AddPointer(y.View).Add(shape.XStride).Add(shape.YStride).Add(shape.Columns).Add(shape.Epsilon);

    // Rows that can be read and written 16 bytes at a time.
    private static bool Aligned(GpuTensor tensor) => tensor.Offset % 4 == 0 && tensor.Stride % 4 == 0;

    // The packed copy of x: its producer's when that is of this version, else made now (and from then on made by the producer).
    private PackedRows Packed(GpuTensor x, int rows, bool half)
    {
        if (x.Packed is { } ready && ready.Version == x.Buffer.Version && ready.Rows == rows && ready.Half == half)
        {
            return ready;
        }

        PackedRows packed = Room(x, rows, half);
        var shape = new RowShape { Rows = rows, Columns = x.ColumnCount, XStride = x.Stride };
        Require(rows);
        new CudaArguments().Add(x.View).Add(packed.View).Add(shape).Add(Mark(x, packed, rows))
            .Launch(_stream, RowKernel(nameof(CudaRowKernels.PackRows)), ((x.ColumnCount + 255) / 256, rows, 1), 256, 0, overlap: true);
        return packed;
    }

    private PackedRows Room(GpuTensor x, int rows, bool half)
    {
        long length = PackedRows.Length(rows, x.ColumnCount);
        PackedRows? packed = x.Packed;
        if (packed is null || packed.Capacity < length)
        {
            _stream.Synchronize();
            MemoryBuffer1D<ushort, Stride1D.Dense> memory = accelerator.Allocate1D<ushort>(length);
            account(memory.LengthInBytes);
            packed = new PackedRows(memory, account);
            x.Buffer.Keep(x.Offset, x.ColumnCount, packed);
        }

        packed.Half = half;
        return packed;
    }

    private static PackTarget Mark(GpuTensor x, PackedRows packed, int rows)
    {
        packed.Rows = rows;
        packed.Version = x.Buffer.Version;
        return new PackTarget { Enabled = 1, Half = packed.Half ? 1 : 0, TileRows = PackedRows.TileRows(rows), Columns = x.ColumnCount };
    }

    // Where a producer's packed copy goes: nowhere until a product has asked for this tensor once.
    private (ArrayView<ushort> View, PackTarget Target) Target(GpuTensor y, int rows)
    {
        if (y.Packed is not { } existing)
        {
            return (_tiles.Get(1).Cast<ushort>(), default);
        }

        PackedRows packed = Room(y, rows, existing.Half);
        return (packed.View, Mark(y, packed, rows));
    }

    // Consecutive rows whose paths nest share a tile: each one's parent is the row before it.
    private void MakeTiles(AttentionPlan plan, int tokens, int window)
    {
        _tileList.Clear();
        ReadOnlySpan<AttentionRow> rows = plan.Rows;
        ReadOnlySpan<int> tails = plan.Tails;
        int first = 0;
        for (int row = 1; row <= rows.Length; row++)
        {
            if (row < rows.Length && row - first < tokens)
            {
                AttentionRow previous = rows[row - 1];
                AttentionRow next = rows[row];
                int length = next.Position + 1 - next.PrefixLength;
                if (next.TableOffset == previous.TableOffset && next.PrefixLength == previous.PrefixLength && next.Position == previous.Position + 1
                    && length >= 2 && tails[next.TailOffset + length - 2] == previous.Slot)
                {
                    continue;
                }
            }

            int from = window > 0 ? Math.Max(0, rows[first].Position - window + 1) : 0;
            _tileList.AddRange([first, row - first, rows[row - 1].Position, from / FlashAttention.BlockLength]);
            first = row;
        }
    }

    private nint Function(string name, Action<PtxText> emit, int sharedBytes, string target = "sm_90")
    {
        if (!_functions.TryGetValue(name, out nint function))
        {
            var text = new PtxText(target);
            emit(text);
            function = Load(name, name, text.ToString());
            if (sharedBytes > 0)
            {
                CudaDriver.AllowShared(function, sharedBytes);
            }
        }

        return function;
    }

    // Compiled by ILGPU, loaded here: its own loader names an older target, which lacks griddepcontrol.
    private nint RowKernel(string name)
    {
        if (!_functions.TryGetValue(name, out nint function))
        {
            MethodInfo method = typeof(CudaRowKernels).GetMethod(name, BindingFlags.Public | BindingFlags.Static)!;
            var compiled = (PTXCompiledKernel)accelerator.Backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(method), default);
            string text = HeaderPattern().Replace(compiled.PTXAssembly, ".version 8.0\n.target sm_90\n", 1);
            function = Load(name, EntryPattern().Match(text).Groups[1].Value, text);
        }

        return function;
    }

    private nint Load(string name, string entry, string text)
    {
        CudaError error = CudaAPI.CurrentAPI.LoadModule(out nint module, text, out string? log);
        if (error != CudaError.CUDA_SUCCESS)
        {
            throw new InvalidOperationException($"the NVIDIA driver refused kernel {name} ({error}); a driver for CUDA 12.0 or later is needed. {log}");
        }

        _modules.Add(module);
        CudaDriver.Check((int)CudaAPI.CurrentAPI.GetModuleFunction(out nint function, module, entry), $"find kernel {name}");
        _functions[name] = function;
        return function;
    }

    [GeneratedRegex(@"\.version [0-9.]+\s+\.target sm_\d+\s")]
    private static partial Regex HeaderPattern();

    [GeneratedRegex(@"\.entry (\w+)")]
    private static partial Regex EntryPattern();
}
