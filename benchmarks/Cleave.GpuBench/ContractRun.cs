using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Compute.Gpu.Contract;

namespace Cleave.GpuBench;

/// <summary>The device contract at sizes a GPU deserves, one line a check.</summary>
internal static class ContractRun
{
    public static int Run(GpuDevice device, TextWriter log, bool large)
    {
        int passed = 0;
        int failed = 0;
        log.WriteLine($"device {device.Hardware}  fingerprint {device.Fingerprint}");
        void Check(string name, Func<DeviceContract, double> body)
        {
            var contract = new DeviceContract(device, 1 + passed + failed)
            {
                ProductTolerance = device.UsesTensorCores ? 6e-3 : 5e-6,
                AttentionTolerance = device.UsesTensorCores ? 8e-3 : 2e-3,
            };
            try
            {
                double error = body(contract);
                passed++;
                log.WriteLine($"ok    {name}  {error:E2}");
            }
            catch (Exception e)
            {
                failed++;
                string message = e.Message.ReplaceLineEndings(" ");
                log.WriteLine($"FAIL  {name}: {e.GetType().Name} {message[..Math.Min(900, message.Length)]}");
            }
        }

        foreach (ElementType type in Enum.GetValues<ElementType>())
        {
            Check($"gather {type}", c => Nothing(() => c.Gather(type, 512)));
            Check($"product {type} 5x512x40", c => c.MatMul(type, 5, 512, 40, 2, 3, 4));
            if (large)
            {
                Check($"product {type} 67x768x212", c => c.MatMul(type, 67, 768, 212, 2, 8, 9, 17, 33, 64, 65));
            }
        }

        if (large)
        {
            foreach (ElementType type in new[] { ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q4_K })
            {
                Check($"product {type} 300x1280x2304", c => c.MatMul(type, 300, 1280, 2304, 1, 7, 8, 16, 31, 32, 48, 64, 100, 256));
            }

            Check("product BF16 70x14336x272", c => c.MatMul(ElementType.BF16, 70, 14336, 272, 1, 5, 12, 40, 64));
            Check("product BF16 33x32x16", c => c.MatMul(ElementType.BF16, 33, 32, 16, 1, 5, 12, 32));
            Check("product BF16 9x4096x36000", c => c.MatMul(ElementType.BF16, 9, 4096, 36000, 1, 8));
        }

        Check("largest 64 of 131072", c => c.Tops(5, 131072, 131072, 64));
        Check("largest 128 of 32000", c => c.Tops(33, 32768, 32000, 128));

        Check("gated BF16 5x512x48", c => c.Gated(ElementType.BF16, 5, 512, 48, 2, 3));
        if (large)
        {
            foreach (ElementType type in new[] { ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q4_K })
            {
                Check($"gated {type} 300x1280x1536", c => c.Gated(type, 300, 1280, 1536, 1, 8, 9, 17, 32, 64, 65, 200));
            }
        }

        foreach (ElementType type in new[] { ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q4_K })
        {
            Check($"normed {type} 12x4096", c => c.NormedProducts(type, 12, 4096, 272, 1, 2, 3, 9));
            Check($"normed {type} 70x512", c => c.NormedProducts(type, 70, 512, 2304, 1, 2, 8, 65));
        }

        if (large)
        {
            Check("normed BF16 9x5120", c => c.NormedProducts(ElementType.BF16, 9, 5120, 48, 1, 2, 4));
            Check("normed BF16 9x8192", c => c.NormedProducts(ElementType.BF16, 9, 8192, 48, 1, 2, 4));
        }

        Check("norm 5x4096", c => Nothing(() => c.RmsNorm(5, 4096, 1)));
        Check("norm 3x1000/8", c => Nothing(() => c.RmsNorm(3, 1000, 8)));
        Check("element-wise", c => Nothing(() => c.Elementwise(7, 1000)));
        foreach (int headDim in new[] { 64, 128 })
        {
            foreach (ElementType type in new[] { ElementType.F16, ElementType.BF16 })
            {
                var shape = new AttentionShape(8, 2, headDim, 1 / MathF.Sqrt(headDim));
                Check($"attention {type} {headDim} 0+5", c => c.Attention(type, shape, 0, 5, RopeLayout.Interleaved));
                Check($"attention {type} {headDim} 63+3", c => c.Attention(type, shape, 63, 3, RopeLayout.Halves));
                Check($"attention {type} {headDim} 300+70", c => c.Attention(type, shape, 300, 70, RopeLayout.Interleaved));
                Check($"attention {type} {headDim} window", c => c.Attention(type, shape with { Window = 100 }, 300, 70, RopeLayout.Interleaved));
            }
        }

        Check("attention group of 3", c => c.Attention(ElementType.F16, new AttentionShape(6, 2, 64, 0.125f), 150, 40, RopeLayout.Interleaved));
        if (large)
        {
            // Enough rows that each block of threads walks its whole history: single rows (a merge of partial results) must agree bit for bit.
            Check("attention 32 heads 200+1300", c => c.Attention(ElementType.BF16, new AttentionShape(32, 8, 128, 0.088f), 200, 1300, RopeLayout.Interleaved));
        }

        Check("attention F32 cache", c => c.Attention(ElementType.F32, new AttentionShape(8, 2, 64, 0.125f), 130, 7, RopeLayout.Interleaved));
        Check("attention Q8_0 cache", c => c.Attention(ElementType.Q8_0, new AttentionShape(8, 2, 64, 0.125f), 130, 7, RopeLayout.Interleaved));
        Check("attention cap", c => c.Attention(ElementType.F16, new AttentionShape(8, 2, 64, 0.125f, 5), 130, 7, RopeLayout.Interleaved));
        Check("refusals", c => Nothing(c.Refusals));
        log.WriteLine($"contract: {passed} passed, {failed} failed, kernel source {KernelSource.Hash}");
        return failed;
    }

    private static double Nothing(Action action)
    {
        action();
        return 0;
    }
}
