using System.Globalization;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.GpuBench;

// cleave-gpu-bench check|time|model ... : the device contract on a real GPU, and how fast it is. Sections run one after another and a failed
// one does not stop the next.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
string[] sections = args.Length == 0 ? ["devices", "check", "copy", "products", "7b"] : args;
string name = Environment.GetEnvironmentVariable("CLEAVE_DEVICE") ?? "cuda:0";
int failures = 0;
foreach (GpuDeviceInfo info in GpuDevices.List())
{
    Console.WriteLine($"{info.Id}  {info.Hardware}  {info.MemoryBytes / 1e9:F1} GB{(info.TensorCores ? "  tensor cores" : "")}");
}

(string kind, int index) = DeviceSelector.Parse(name == "emulator" ? "cpu" : name);
foreach (string section in sections)
{
    var clock = System.Diagnostics.Stopwatch.StartNew();
    try
    {
        using GpuDevice device = name == "emulator" ? DeviceSelector.OpenEmulator() : DeviceSelector.OpenGpu(kind, index, tensorCores: section != "plain");
        var timing = new Timing(device, Console.Out);
        switch (section)
        {
            case "check":
                failures += ContractRun.Run(device, Console.Out, large: true);
                break;
            case "check-mma":
                device.UsesWarpgroups = false;
                failures += ContractRun.Run(device, Console.Out, large: true);
                break;
            case "plain":
                failures += ContractRun.Run(device, Console.Out, large: false);
                break;
            case "products":
                using (var block = new RandomBlock(ElementType.BF16, 300L << 20))
                {
                    timing.Copy();
                    timing.Products(ElementType.BF16, block, 1, 8, 32, 64, 2048);
                }

                break;
            case "quantised":
                timing.Copy();
                foreach (ElementType type in new[] { ElementType.Q8_0, ElementType.Q4_K, ElementType.F16 })
                {
                    using var block = new RandomBlock(type, 300L << 20);
                    timing.Products(type, block, 1, 8, 32, 2048);
                }

                break;
            case "7b":
            case "12b":
                using (var block = new RandomBlock(ElementType.BF16, 1400L << 20))
                {
                    timing.Copy();
                    timing.Model(section == "7b" ? RandomModel.Mistral7B : RandomModel.Nemo12B, ElementType.BF16, block, [64, 2000], [1, 8, 32, 64], 2048);
                }

                break;
            case "7b-q8":
            case "7b-q4":
                ElementType quantised = section == "7b-q8" ? ElementType.Q8_0 : ElementType.Q4_K;
                using (var block = new RandomBlock(quantised, 300L << 20))
                {
                    timing.Copy();
                    timing.Model(RandomModel.Mistral7B, quantised, block, [64], [1, 8, 32], 2048);
                }

                break;
            default:
                Console.WriteLine($"unknown section '{section}': check, check-mma, plain, products, quantised, 7b, 7b-q8, 7b-q4, 12b");
                failures++;
                break;
        }
    }
    catch (Exception e)
    {
        failures++;
        Console.WriteLine($"{section}: {e.GetType().Name}: {e.Message}\n{e.StackTrace}");
    }

    Console.WriteLine($"-- {section}: {clock.Elapsed.TotalSeconds:F1} s");
}

return failures == 0 ? 0 : 1;
