namespace Cleave.Compute.Training;

/// <summary>Rows with the class of each: what a classifier is trained on.</summary>
/// <param name="Values">[rows, columns].</param>
/// <param name="Labels">[rows].</param>
/// <param name="Mean">Taken off each column before a network reads it: [columns].</param>
/// <param name="Scale">Each column's factor after that: [columns].</param>
public sealed record LabelledRows(float[] Values, int[] Labels, float[] Mean, float[] Scale)
{
    /// <summary>Numbers per row.</summary>
    public int Columns => Mean.Length;

    /// <summary>Rows.</summary>
    public int Rows => Labels.Length;
}
