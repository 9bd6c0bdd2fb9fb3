namespace Cleave.Models.Storage;

/// <summary>The shape every role must have under a configuration.</summary>
internal static class TensorShapes
{
    /// <summary>Shape of a role, outermost first, or null when the architecture has no such tensor.</summary>
    public static long[]? Of(ModelConfig config, LayerTensor role) => role switch
    {
        LayerTensor.AttentionNorm or LayerTensor.FeedForwardNorm => config.PreNorm ? [config.HiddenSize] : null,
        LayerTensor.AttentionPostNorm or LayerTensor.FeedForwardPostNorm => config.PostNorm ? [config.HiddenSize] : null,
        LayerTensor.Query => [config.QueryColumns, config.HiddenSize],
        LayerTensor.Key or LayerTensor.Value => [config.KvColumns, config.HiddenSize],
        LayerTensor.QueryBias => [config.QueryColumns],
        LayerTensor.KeyBias or LayerTensor.ValueBias => [config.KvColumns],
        LayerTensor.QueryNorm => NormShape(config, config.QueryColumns),
        LayerTensor.KeyNorm => NormShape(config, config.KvColumns),
        LayerTensor.AttentionOutput => [config.HiddenSize, config.QueryColumns],
        LayerTensor.AttentionOutputBias => [config.HiddenSize],
        LayerTensor.Gate or LayerTensor.Up => [config.FeedForwardSize, config.HiddenSize],
        LayerTensor.Down => [config.HiddenSize, config.FeedForwardSize],
        LayerTensor.GateBias or LayerTensor.UpBias => config.Experts > 0 ? null : [config.FeedForwardSize],
        LayerTensor.DownBias => config.Experts > 0 ? null : [config.HiddenSize],
        LayerTensor.Router => config.Experts > 0 ? [config.Experts, config.HiddenSize] : null,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "unknown layer tensor"),
    };

    /// <summary>True for the matrices each expert of a mixture has for itself.</summary>
    public static bool IsExpertRole(LayerTensor role) => role is LayerTensor.Gate or LayerTensor.Up or LayerTensor.Down;

    private static long[]? NormShape(ModelConfig config, int columns) => config.QueryKeyNorm switch
    {
        QueryKeyNorm.PerHead => [config.HeadDim],
        QueryKeyNorm.AllHeads => [columns],
        _ => null,
    };
}
