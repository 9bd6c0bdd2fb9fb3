using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Cleave.Compute.Gpu;

/// <summary>Opens devices by the names of the command line: cpu, cuda[:i], opencl[:i], auto.</summary>
public static class DeviceSelector
{
    /// <summary>What <see cref="Open"/> understands.</summary>
    public const string Syntax = "cpu|cuda[:i]|opencl[:i]|auto";

    /// <summary>Opens a device. auto is the first CUDA device, else the CPU.</summary>
    /// <param name="text">One of <see cref="Syntax"/>; empty is auto.</param>
    /// <param name="cpu">Makes the CPU device.</param>
    /// <param name="embeddingOnHost">Leaves embeddings of a GPU device in host memory.</param>
    /// <exception cref="DeviceUnavailableException">There is no such device; the message says what there is.</exception>
    public static IComputeDevice Open(string? text, Func<IComputeDevice> cpu, bool embeddingOnHost = false)
    {
        ArgumentNullException.ThrowIfNull(cpu);
        (string kind, int index) = Parse(text);
        switch (kind)
        {
            case "cpu":
                return cpu();
            case "auto":
                return GpuDevices.List().Any(d => d.Kind == "cuda") ? OpenGpu("cuda", 0, embeddingOnHost) : cpu();
            default:
                return OpenGpu(kind, index, embeddingOnHost);
        }
    }

    /// <summary>Splits a device name into kind and index.</summary>
    /// <exception cref="DeviceUnavailableException">It is not one of <see cref="Syntax"/>.</exception>
    public static (string Kind, int Index) Parse(string? text)
    {
        string value = string.IsNullOrWhiteSpace(text) ? "auto" : text.Trim().ToLowerInvariant();
        string[] parts = value.Split(':');
        int index = 0;
        bool known = parts[0] is "cpu" or "auto" ? parts.Length == 1 : parts[0] is "cuda" or "opencl" && parts.Length <= 2;
        if (!known || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index)))
        {
            throw new DeviceUnavailableException($"'{text}' is not a device; give {Syntax}, for example cuda:1");
        }

        return (parts[0], index);
    }

    /// <summary>ILGPU's CPU accelerator: slow, and meant for tests of the kernels without a GPU.</summary>
    public static GpuDevice OpenEmulator()
    {
        Context context = Context.Create(builder => builder.CPU(new CPUDevice(32, 4, 1)).Optimize(OptimizationLevel.O2));
        return new GpuDevice(context, context.GetCPUDevice(0).CreateAccelerator(context), "emulator", tensorCores: false);
    }

    /// <summary>Opens a GPU; with <paramref name="tensorCores"/> false a CUDA device runs the plain kernels.</summary>
    public static GpuDevice OpenGpu(string kind, int index, bool embeddingOnHost = false, bool tensorCores = true)
    {
        Context? context = null;
        try
        {
            context = Context.Create(builder => _ = kind == "cuda" ? builder.Cuda().Optimize(OptimizationLevel.O2) : builder.OpenCL().Optimize(OptimizationLevel.O2));
            int count = kind == "cuda" ? context.GetCudaDevices().Count : context.GetCLDevices().Count;
            if (index >= count)
            {
                string found = string.Join(", ", GpuDevices.List().Select(d => $"{d.Id} ({d.Hardware})"));
                throw new DeviceUnavailableException(
                    count == 0
                        ? $"no {kind} device was found: {Remedy(kind)}. Available: cpu{(found.Length > 0 ? ", " + found : "")}"
                        : $"there is no {kind}:{index}. Available: cpu, {found}");
            }

            Accelerator accelerator = kind == "cuda" ? context.CreateCudaAccelerator(index) : context.CreateCLAccelerator(index);
            return new GpuDevice(context, accelerator, $"{kind}:{index}", tensorCores) { EmbeddingOnHost = embeddingOnHost };
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

    private static string Remedy(string kind) => kind == "cuda"
        ? "install the NVIDIA driver (nothing else is needed) and check that nvidia-smi lists the GPU"
        : "install an OpenCL 2.0 driver for the GPU and check that clinfo lists it";
}
