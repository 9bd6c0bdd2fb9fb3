namespace Cleave.Compute.Training;

/// <summary>y = W · x + b.</summary>
/// <param name="Weight">[outputs, inputs].</param>
/// <param name="Bias">[outputs].</param>
public sealed record DenseLayer(HostMatrix Weight, float[] Bias)
{
    /// <summary>Numbers in.</summary>
    public int Inputs => Weight.Columns;

    /// <summary>Numbers out.</summary>
    public int Outputs => Weight.Rows;
}
