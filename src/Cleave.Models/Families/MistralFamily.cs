using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>Mistral and Mistral NeMo: Llama with a head size of its own, and a sliding window in all layers or none.</summary>
internal sealed class MistralFamily : ModelFamily
{
    public override string HfType => "mistral";

    public override string? GgufArchitecture => null;

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common();
        return config with { Windows = file.Windows(config.Layers, honourLayerTypes: false, _ => true) };
    }
}
