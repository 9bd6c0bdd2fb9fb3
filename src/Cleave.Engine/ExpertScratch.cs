using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>What a mixture-of-experts layer needs besides <see cref="LayerScratch"/>.</summary>
internal sealed class ExpertScratch(IComputeDevice device, ModelConfig config, int rows) : IDisposable
{
    public DeviceTensor Router { get; } = device.Allocate(rows, config.Experts);

    public DeviceTensor Input { get; } = device.Allocate(rows, config.HiddenSize);

    public DeviceTensor Output { get; } = device.Allocate(rows, config.HiddenSize);

    public float[] Scores { get; } = new float[rows * config.Experts];

    public int[] Chosen { get; } = new int[rows * config.ExpertsPerToken];

    public float[] Weights { get; } = new float[rows * config.ExpertsPerToken];

    public int[] RowIndices { get; } = new int[rows];

    public float[] RowScales { get; } = new float[rows];

    public void Dispose()
    {
        Router.Dispose();
        Input.Dispose();
        Output.Dispose();
    }
}
