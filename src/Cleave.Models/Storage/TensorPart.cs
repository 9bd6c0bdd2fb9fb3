namespace Cleave.Models.Storage;

/// <summary>
/// Where a role's numbers are: all rows of a stored tensor, or some of them when the file fuses several roles into one.
/// </summary>
/// <param name="Pattern">Name with {0} for the layer and {1} for the expert.</param>
/// <param name="RowStart">First row of the part.</param>
/// <param name="FusedRows">0 for a tensor of its own; else the rows of the whole fused tensor.</param>
/// <param name="Optional">True when the file may leave the tensor out.</param>
/// <param name="Stacked">True when the tensor holds all experts, [experts, outputs, inputs].</param>
internal sealed record TensorPart(string Pattern, long RowStart = 0, long FusedRows = 0, bool Optional = false, bool Stacked = false)
{
    /// <summary>The stored tensor's name.</summary>
    public string Name(int layer, int expert = 0) =>
        Pattern.Replace("{0}", layer.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{1}", expert.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
