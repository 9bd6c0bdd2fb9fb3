using System.Globalization;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Cleave.Compute.Gpu;

/// <summary>Opens devices by the names of the command line: cpu, cuda[:i], opencl[:i], auto.</summary>
public static class DeviceSelector
{
    /// <summary>What <see cref="Open"/> understands.</summary>
    public const string Syntax = "cpu|cuda[:i]|opencl[:i]|auto";

    /// <summary>
    /// One more name, for tests and left out of <see cref="Syntax"/>: ILGPU's CPU accelerator, which runs GPU kernels without a GPU. A number
    /// after it is its memory in MB.
    /// </summary>
    public const string Emulated = "emulated";

    /// <summary>Opens a device. auto is the first CUDA device with enough free memory, else the CPU.</summary>
    /// <param name="request">Which, and for what.</param>
    /// <param name="say">Told which device auto chose, and why, and what of the request it cannot do; or null.</param>
    /// <exception cref="DeviceUnavailableException">There is no such device; the message says what there is.</exception>
    /// <exception cref="GpuMemoryException">It has too little free memory; the message says what would fit.</exception>
    public static IComputeDevice Open(DeviceRequest request, Action<string>? say = null)
    {
        ArgumentNullException.ThrowIfNull(request);
        (string kind, int index) = Parse(request.Name);
        return kind switch
        {
            "cpu" => OpenCpu(request, say),
            "auto" => OpenAuto(request, say),
            _ => WithRoom(Stored(OpenGpu(kind, index, request.EmbeddingOnHost), request, say), request),
        };
    }

    /// <summary>Splits a device name into kind and index.</summary>
    /// <exception cref="DeviceUnavailableException">It is not one of <see cref="Syntax"/>.</exception>
    public static (string Kind, int Index) Parse(string? text)
    {
        string value = string.IsNullOrWhiteSpace(text) ? "auto" : text.Trim().ToLowerInvariant();
        string[] parts = value.Split(':');
        int index = 0;
        bool known = parts[0] is "cpu" or "auto" ? parts.Length == 1 : parts[0] is "cuda" or "opencl" or Emulated && parts.Length <= 2;
        if (!known || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index)))
        {
            throw new DeviceUnavailableException($"'{text}' is not a device; give {Syntax}, for example cuda:1");
        }

        return (parts[0], index);
    }

    /// <summary>ILGPU's CPU accelerator: slow, and meant for tests of the kernels without a GPU.</summary>
    /// <param name="embeddingOnHost">Leaves embeddings in host memory.</param>
    /// <param name="memoryBytes">How much memory it pretends to have; 0 for what the machine has.</param>
    public static GpuDevice OpenEmulator(bool embeddingOnHost = false, long memoryBytes = 0)
    {
        Context context = Context.Create(builder => builder.CPU(new CPUDevice(32, 4, 1)).Optimize(OptimizationLevel.O2));
        return new GpuDevice(context, context.GetCPUDevice(0).CreateAccelerator(context), Emulated, tensorCores: false)
        {
            EmbeddingOnHost = embeddingOnHost,
            LimitBytes = memoryBytes > 0 ? memoryBytes : long.MaxValue,
        };
    }

    /// <summary>Opens a GPU; with <paramref name="tensorCores"/> false a CUDA device runs the plain kernels.</summary>
    /// <exception cref="DeviceUnavailableException">There is no such device; the message says what there is.</exception>
    public static GpuDevice OpenGpu(string kind, int index, bool embeddingOnHost = false, bool tensorCores = true)
    {
        if (kind == Emulated)
        {
            return OpenEmulator(embeddingOnHost, index * 1_000_000L);
        }

        Context? context = null;
        try
        {
            context = Context.Create(builder => _ = kind == "cuda" ? builder.Cuda().Optimize(OptimizationLevel.O2) : builder.OpenCL().Optimize(OptimizationLevel.O2));
            int count = kind == "cuda" ? context.GetCudaDevices().Count : context.GetCLDevices().Count;
            if (index >= count)
            {
                string found = string.Concat(GpuDevices.List().Select(d => $", {d.Id} ({d.Hardware})"));
                throw new DeviceUnavailableException(
                    count == 0 ? $"no {kind} device was found: {Remedy(kind)}. Available: cpu{found}" : $"there is no {kind}:{index}. Available: cpu{found}");
            }

            if (kind == "opencl")
            {
                return new GpuDevice(context, context.CreateCLAccelerator(index), $"opencl:{index}", tensorCores: false) { EmbeddingOnHost = embeddingOnHost };
            }

            CudaDevice info = context.GetCudaDevice(index);
            long? before = NvidiaMemory.UsedBytes(info);
            CudaAccelerator accelerator = context.CreateCudaAccelerator(index);
            return new GpuDevice(context, accelerator, $"cuda:{index}", tensorCores)
            {
                EmbeddingOnHost = embeddingOnHost,
                DriverBytes = NvidiaMemory.UsedBytes(info) - before ?? accelerator.MemorySize - accelerator.GetFreeMemory(),
            };
        }
        catch (Exception e) when (e is not DeviceUnavailableException)
        {
            context?.Dispose();
            throw new DeviceUnavailableException($"{kind}:{index} could not be opened ({e.Message}): {Remedy(kind)}, or use --device cpu", e);
        }
        catch (DeviceUnavailableException)
        {
            context?.Dispose();
            throw;
        }
    }

    private static IComputeDevice OpenAuto(DeviceRequest request, Action<string>? say)
    {
        string why = "no CUDA device was found";
        foreach (GpuDeviceInfo info in HasCudaDriver() ? GpuDevices.List().Where(static d => d.Kind == "cuda") : [])
        {
            // Opened before its memory is known: what is free, the driver tells only then.
            GpuDevice device = OpenGpu("cuda", int.Parse(info.Id.AsSpan(5), CultureInfo.InvariantCulture), request.EmbeddingOnHost);
            if (device.FreeBytes >= request.NeededBytes)
            {
                say?.Invoke($"computing on {device.Name} ({device.Hardware})");
                return Stored(device, request, say);
            }

            why = string.Create(
                CultureInfo.InvariantCulture, $"{device.Name} has {device.FreeBytes / 1e9:F2} GB free and {request.NeededBytes / 1e9:F2} GB are needed");
            device.Dispose();
        }

        if (HasCudaDriver())
        {
            say?.Invoke($"computing on the CPU: {why}");
        }

        return OpenCpu(request, say);
    }

    private static CpuDevice OpenCpu(DeviceRequest request, Action<string>? say)
    {
        var device = new CpuDevice(threads: request.CpuThreads, packBF16: request.PackBF16);
        if (request.PackBF16 && !device.PacksBF16)
        {
            say?.Invoke("weights are read as they are stored, not packed: that takes a processor with AVX-512 VBMI, and the avx512 kernels");
        }

        return device;
    }

    private static GpuDevice Stored(GpuDevice device, DeviceRequest request, Action<string>? say)
    {
        if (request.PackBF16)
        {
            say?.Invoke($"weights stay as they are stored, not packed: {device.Name} is no CPU, and its memory does not bound it as a CPU's does");
        }

        return device;
    }

    private static GpuDevice WithRoom(GpuDevice device, DeviceRequest request)
    {
        long free = device.FreeBytes;
        if (free >= request.NeededBytes)
        {
            return device;
        }

        string message = string.Create(
            CultureInfo.InvariantCulture,
            $"{device.Name} ({device.Hardware}) has {free / 1e9:F2} GB free and {request.NeededBytes / 1e9:F2} GB are needed. ");
        device.Dispose();
        throw new GpuMemoryException(message + (request.Advise?.Invoke(free) ?? "Take fewer layers, a smaller cache, --weights q8, or --device cpu."));
    }

    // Asked before ILGPU is: a machine without a driver should not pay for finding none.
    private static bool HasCudaDriver() => NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out _);

    private static string Remedy(string kind) => kind == "cuda"
        ? "install the NVIDIA driver (nothing else is needed) and check that nvidia-smi lists the GPU"
        : "install an OpenCL 2.0 driver for the GPU and check that clinfo lists it";
}
