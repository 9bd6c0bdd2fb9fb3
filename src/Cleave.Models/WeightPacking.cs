namespace Cleave.Models;

/// <summary>What <see cref="WeightPrecision.Packed"/> finds to do in a model.</summary>
public static class WeightPacking
{
    /// <summary>Bytes that layers and LM head take once packed; null when none of their matrices is packed.</summary>
    public static long? Bytes(IModelSource source)
    {
        long packed = Products(source, WeightPrecision.Packed);
        return packed < Products(source, WeightPrecision.Stored) ? packed : null;
    }

    /// <summary>True when packing was asked for and there is something to pack; asked for in vain, that is said.</summary>
    /// <param name="source">The model.</param>
    /// <param name="precision">What was asked for.</param>
    /// <param name="say">Told why nothing is packed.</param>
    public static bool Applies(IModelSource source, WeightPrecision precision, Action<string> say)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(say);
        if (precision != WeightPrecision.Packed)
        {
            return false;
        }

        bool any = Bytes(source) is not null;
        if (!any)
        {
            say($"weights are read as they are stored: {source.Path} has no BF16 matrix with rows of a multiple of 128 numbers, and no other is packed");
        }

        return any;
    }

    private static long Products(IModelSource source, WeightPrecision precision)
    {
        var sizes = ModelSizes.Of(source, precision);
        return sizes.LayerBytes.Sum() + sizes.LmHeadBytes;
    }
}
