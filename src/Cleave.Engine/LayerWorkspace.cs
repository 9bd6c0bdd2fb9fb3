using System.Numerics;
using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>
/// Activations that layers work in, shared by stacks of one model on one device: a device runs one of them at a time, so the trusted side's
/// head and tail need no room of their own each.
/// </summary>
public sealed class LayerWorkspace : IDisposable
{
    private LayerScratch? _scratch;

    /// <summary>Room for at least <paramref name="rows"/> rows, contents undefined.</summary>
    internal LayerScratch For(IComputeDevice device, ModelConfig config, int rows)
    {
        if (_scratch is null || _scratch.Rows < rows)
        {
            _scratch?.Dispose();
            _scratch = new LayerScratch(device, config, (int)BitOperations.RoundUpToPowerOf2((uint)rows));
        }

        return _scratch;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _scratch?.Dispose();
        _scratch = null;
    }
}
