using Cleave.Compute;
using Cleave.Inference.Tests.Devices;

namespace Cleave.Inference.Tests.Simulation;

/// <summary>
/// Any device, with a virtual price per operation: what two cores with AVX-512 took when idle (Q8_0 weights). Only
/// products and attention are charged, the rest is inside their rates.
/// </summary>
internal sealed class MeteredDevice(IComputeDevice inner, Action<double> charge) : DecoratedDevice(inner)
{
    public override void MatMul(DeviceTensor x, DeviceWeight weight, DeviceTensor? bias, DeviceTensor y, int rows)
    {
        base.MatMul(x, weight, bias, y, rows);
        charge(0.002 + (1e-6 * weight.Outputs * weight.Inputs * (0.075 + (0.0155 * rows))));
    }

    public override void Attention(DeviceTensor q, KvArena arena, int layer, AttentionPlan plan, in AttentionShape shape, DeviceTensor y)
    {
        base.Attention(q, arena, layer, plan, shape, y);
        charge(0.03 + (plan.Rows.Length * (0.0035 + (1.5e-5 * plan.MaxLength))));
    }
}
