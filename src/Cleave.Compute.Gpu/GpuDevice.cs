using Cleave.Compute.Gpu.Cuda;
using Cleave.Compute.Gpu.Kernels;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu;

/// <summary>
/// A device driven through ILGPU. Kernels are C#, compiled at run time for NVIDIA (PTX), OpenCL or ILGPU's own CPU accelerator;
/// on NVIDIA GPUs of compute capability 9.0 and later, products, norms and attention use the kernels of <see cref="CudaKernels"/> instead.
/// Which of the two a device uses is fixed when it is opened and is part of its fingerprint.
/// </summary>
public sealed partial class GpuDevice : IComputeDevice
{
    private const long ScratchBytes = 64L << 20;
    private const int GroupSize = 128;

    private readonly Context _context;
    private readonly Accelerator _accelerator;
    private readonly AcceleratorStream _stream;
    private readonly PlainKernels _plain;
    private readonly CudaKernels? _cuda;
    private readonly PlanUpload _plan;
    private readonly Scratch<float> _floats;
    private readonly Scratch<float> _statistics;
    private readonly Scratch<int> _ints;
    private readonly Scratch<float> _scales;
    private readonly Scratch<float> _groups;
    private readonly Scratch<int> _slots;
    private readonly Dictionary<RopeTable, (float[] Host, MemoryBuffer1D<float, Stride1D.Dense> Device)> _ropeTables = [];
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _noBias;
    private HeldNorm? _held;
    private long _allocatedBytes;

    internal GpuDevice(Context context, Accelerator accelerator, string name, bool tensorCores)
    {
        _context = context;
        _accelerator = accelerator;
        _stream = accelerator.DefaultStream;
        Name = name;
        _plain = new PlainKernels(accelerator);
        _plan = new PlanUpload(accelerator, Account);
        _floats = new Scratch<float>(accelerator, Account);
        _statistics = new Scratch<float>(accelerator, Account);
        _ints = new Scratch<int>(accelerator, Account);
        _scales = new Scratch<float>(accelerator, Account);
        _groups = new Scratch<float>(accelerator, Account);
        _slots = new Scratch<int>(accelerator, Account);
        _noBias = accelerator.Allocate1D<float>(1);
        if (tensorCores && accelerator is CudaAccelerator cuda && CudaKernels.Supports(cuda))
        {
            _cuda = new CudaKernels(cuda, Account);
        }

        string arithmetic = _cuda is null ? "plain" : "mma";
        string kind = accelerator.AcceleratorType.ToString().ToLowerInvariant();
        Fingerprint = $"gpu-{kind}-{arithmetic}-{(accelerator as CudaAccelerator)?.Architecture.ToString() ?? accelerator.Name}-{KernelSource.Hash}";
    }

    /// <inheritdoc />
    public string Name { get; }

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public long AllocatedBytes => _allocatedBytes;

    /// <summary>The hardware's own name.</summary>
    public string Hardware => _accelerator.Name;

    /// <summary>Bytes of memory the device has.</summary>
    public long TotalBytes => Math.Min(_accelerator.MemorySize, LimitBytes);

    /// <summary>True when products run on tensor cores.</summary>
    public bool UsesTensorCores => _cuda is not null;

    /// <summary>
    /// False makes products of many rows on Hopper use the kernel of other GPUs, which must give the same bits: for checking.
    /// </summary>
    public bool UsesWarpgroups
    {
        get => _cuda is { GroupProducts: true };
        set => (_cuda ?? throw new InvalidOperationException($"{Name} has no tensor-core kernels")).GroupProducts = value;
    }

    /// <summary>When true, <see cref="LoadEmbedding"/> leaves the rows in host memory and uploads the few a step needs.</summary>
    public bool EmbeddingOnHost { get; init; }

    /// <summary>Most bytes this process may take of the device.</summary>
    public long LimitBytes { get; init; } = long.MaxValue;

    /// <summary>Bytes that can still be taken: what the driver says (CUDA) or what the device has less what we took, within <see cref="LimitBytes"/>.</summary>
    public long FreeBytes
    {
        get
        {
            _accelerator.Bind();
            long free = _accelerator is CudaAccelerator cuda ? cuda.GetFreeMemory() : TotalBytes - _allocatedBytes;
            return Math.Max(0, Math.Min(free, LimitBytes - _allocatedBytes));
        }
    }

    /// <summary>
    /// What the driver's context took of the device when it was opened (where the driver's management library is missing, with what other
    /// processes held); 0 where the driver does not tell.
    /// </summary>
    public long DriverBytes { get; init; }

    /// <inheritdoc />
    public ElementType PreferredKvType => ElementType.F16;

    /// <inheritdoc />
    public DeviceTensor LoadVector(TensorData vector, float offset = 0)
    {
        ArgumentNullException.ThrowIfNull(vector);
        int length = checked((int)(vector.Rows * vector.Columns));
        var values = new float[length];
        HostDecode.Vector(vector, values);
        for (int i = 0; i < length; i++)
        {
            values[i] += offset;
        }

        DeviceTensor tensor = Allocate(1, length);
        Upload(values, tensor, 1);
        return tensor;
    }

    /// <inheritdoc />
    public DeviceTensor Allocate(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        MemoryBuffer1D<float, Stride1D.Dense> memory = AllocateMemory<float>((long)rows * columns, $"activations [{rows}, {columns}]");
        return new GpuTensor(new GpuBuffer(memory, Freed), 0, rows, columns, columns, owner: true);
    }

    /// <inheritdoc />
    public KvArena AllocateKv(int layers, int slots, int columns, ElementType type)
    {
        if (type is not (ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0))
        {
            throw new ArgumentException($"a cache of {type} is not supported; use F32, F16, BF16 or Q8_0", nameof(type));
        }

        long units = checked(2L * layers * slots * (type.RowBytes(columns) / 2));
        MemoryBuffer1D<ushort, Stride1D.Dense> memory = AllocateMemory<ushort>(units, $"a cache of {slots} tokens over {layers} layers in {type}");
        memory.MemSetToZero(_stream);
        return new GpuKvArena(layers, slots, columns, type, memory, bytes => Account(-bytes));
    }

    /// <inheritdoc />
    public void Upload(ReadOnlySpan<float> source, DeviceTensor destination, int rows)
    {
        GpuTensor to = Tensor(destination, rows);
        if (source.Length < (long)rows * to.ColumnCount)
        {
            throw new ArgumentException($"{rows} rows of {to.ColumnCount} need {(long)rows * to.ColumnCount} numbers, got {source.Length}", nameof(source));
        }

        if (rows == 0 || to.ColumnCount == 0)
        {
            return;
        }

        Written(to);
        if (to.Stride == to.ColumnCount)
        {
            HostCopy.ToDevice(_stream, source[..(rows * to.ColumnCount)], to.View);
            return;
        }

        ArrayView<float> staging = _floats.Get((long)rows * to.ColumnCount);
        HostCopy.ToDevice(_stream, source[..(rows * to.ColumnCount)], staging);
        ArrayView<int> indices = UploadIndices(Enumerable.Range(0, rows).ToArray());
        var shape = new RowShape { Rows = rows, Columns = to.ColumnCount, XStride = to.ColumnCount, YStride = to.Stride };
        _plain.CopyRows(_stream, Grid1(rows * to.ColumnCount), staging, indices, to.View, shape);
    }

    /// <inheritdoc />
    public void Download(DeviceTensor source, int rows, Span<float> destination)
    {
        GpuTensor from = Tensor(source, rows);
        if (destination.Length < (long)rows * from.ColumnCount)
        {
            throw new ArgumentException($"{rows} rows of {from.ColumnCount} need {(long)rows * from.ColumnCount} numbers, got {destination.Length}", nameof(destination));
        }

        if (rows == 0 || from.ColumnCount == 0)
        {
            _stream.Synchronize();
            return;
        }

        ArrayView<float> view = from.View;
        if (from.Stride != from.ColumnCount)
        {
            view = _floats.Get((long)rows * from.ColumnCount);
            ArrayView<int> indices = UploadIndices(Enumerable.Range(0, rows).ToArray());
            var shape = new RowShape { Rows = rows, Columns = from.ColumnCount, XStride = from.Stride, YStride = from.ColumnCount };
            _plain.CopyRows(_stream, Grid1(rows * from.ColumnCount), from.View, indices, view, shape);
        }

        HostCopy.FromDevice(_stream, view, destination[..(rows * from.ColumnCount)]);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _accelerator.Bind();
        _stream.Synchronize();
        _cuda?.Dispose();
        _plan.Dispose();
        _floats.Dispose();
        _statistics.Dispose();
        _ints.Dispose();
        _scales.Dispose();
        _groups.Dispose();
        _slots.Dispose();
        _noBias.Dispose();
        foreach ((float[] _, MemoryBuffer1D<float, Stride1D.Dense> device) in _ropeTables.Values)
        {
            device.Dispose();
        }

        _accelerator.Dispose();
        _context.Dispose();
    }

    /// <summary>Waits for everything queued.</summary>
    public void Synchronize()
    {
        Settle();
        _stream.Synchronize();
    }

    /// <summary>Copies a whole tensor to another of its size, device to device: the ceiling that speeds are quoted against.</summary>
    public void CopyMemory(DeviceTensor source, DeviceTensor destination)
    {
        GpuTensor from = Tensor(source, source.RowCapacity);
        GpuTensor to = Tensor(destination, source.RowCapacity);
        Written(to);
        from.View.CopyTo(_stream, to.View);
    }

    internal Accelerator Accelerator => _accelerator;

    private static KernelConfig Grid1(long threads) => new(checked((int)((threads + GroupSize - 1) / GroupSize)), GroupSize);

    /// <summary>The tensor as ours. Every operation passes here, on whatever thread: the driver's context is bound to it.</summary>
    private GpuTensor Tensor(DeviceTensor tensor, int rows)
    {
        _accelerator.Bind();
        Settle();
        if (tensor is not GpuTensor own)
        {
            throw new ArgumentException($"a tensor of {tensor?.GetType().Name} was given to a GPU device", nameof(tensor));
        }

        return rows >= 0 && rows <= own.RowCapacity
            ? own
            : throw new ArgumentException($"{rows} rows asked of a tensor of {own.RowCapacity}", nameof(rows));
    }

    // Queues the norm that was held back for the operation after it.
    private void Settle()
    {
        if (_held is { } norm)
        {
            _held = null;
            _cuda!.RmsNorm(norm.From, norm.Factors, norm.To, norm.Shape);
        }
    }

    // A held norm may read or write what is about to be freed.
    private void Freed(long bytes)
    {
        Settle();
        Account(-bytes);
    }

    private static void Written(GpuTensor tensor) => tensor.Buffer.Version++;

    private ArrayView<int> UploadIndices(ReadOnlySpan<int> indices)
    {
        ArrayView<int> view = _ints.Get(indices.Length);
        HostCopy.ToDevice(_stream, indices, view);
        return view;
    }

    private ArrayView<float> RopeNumbers(RopeTable table, int positions)
    {
        float[] host = table.For(positions);
        if (!_ropeTables.TryGetValue(table, out var entry) || !ReferenceEquals(entry.Host, host))
        {
            if (entry.Device is not null)
            {
                _stream.Synchronize();
                Account(-entry.Device.LengthInBytes);
                entry.Device.Dispose();
            }

            MemoryBuffer1D<float, Stride1D.Dense> device = AllocateMemory<float>(host.Length, "a rotary table");
            HostCopy.ToDevice<float>(_stream, host, device.View.BaseView);
            entry = (host, device);
            _ropeTables[table] = entry;
        }

        return entry.Device.View.BaseView;
    }

    private MemoryBuffer1D<T, Stride1D.Dense> AllocateMemory<T>(long length, string what)
        where T : unmanaged
    {
        long wanted = length * System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        try
        {
            _accelerator.Bind();
            if (wanted > LimitBytes - _allocatedBytes)
            {
                throw NoRoom(what, wanted, null);
            }

            MemoryBuffer1D<T, Stride1D.Dense> memory = _accelerator.Allocate1D<T>(Math.Max(1, length));
            Account(memory.LengthInBytes);
            return memory;
        }
        catch (Exception e) when (e is AcceleratorException or OutOfMemoryException)
        {
            throw NoRoom(what, wanted, e);
        }
    }

    private GpuMemoryException NoRoom(string what, long wanted, Exception? inner) => new(
        string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{Name} ({_accelerator.Name}) has no room for {what}: {wanted / 1e9:F3} GB wanted, {FreeBytes / 1e9:F3} GB free, {TotalBytes / 1e9:F1} GB in all, {_allocatedBytes / 1e9:F2} GB taken by this process. Take fewer layers, a smaller cache or context, or a more quantised model."),
        inner);

    private void Account(long bytes) => _allocatedBytes += bytes;
}
