using Cleave.Compute;
using Cleave.Inference.Tests.Devices;

namespace Cleave.Inference.Tests.Sampling;

/// <summary>A device that would rather not give whole rows of logits: the CPU's numbers by a GPU's ways.</summary>
internal sealed class BriefDevice(IComputeDevice inner) : DecoratedDevice(inner)
{
    public override bool PrefersTopRows => true;

    /// <summary>Rows answered in short.</summary>
    public int RowsInShort { get; private set; }

    public override void TopOf(DeviceTensor x, int rows, TopRows tops)
    {
        RowsInShort += rows;
        base.TopOf(x, rows, tops);
    }
}
