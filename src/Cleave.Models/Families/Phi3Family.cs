using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Models.Storage;

namespace Cleave.Models.Families;

/// <summary>Phi-3: Llama with q, k, v in one tensor, gate and up in another.</summary>
internal sealed class Phi3Family : ModelFamily
{
    public override string HfType => "phi3";

    public override string GgufArchitecture => "phi3";

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common();
        return config with { Windows = file.Windows(config.Layers, honourLayerTypes: false, _ => true) };
    }

    public override TensorLayout Layout(HfConfig file, ModelConfig config) =>
        Fused(HfLayout.For(config), config, HfLayout.Layer("self_attn.qkv_proj.weight"), HfLayout.Layer("mlp.gate_up_proj.weight"));

    public override ModelConfig Configure(GgufFields fields)
    {
        // Long-context variants come with factors that no reference here covers.
        fields.RefuseTensors("rope_factors_long.weight", "rope_factors_short.weight");
        return fields.Common(RopeLayout.Halves) with { Windows = fields.Windows(_ => true) };
    }

    public override TensorLayout Layout(GgufFields fields, ModelConfig config) =>
        Fused(GgufLayout.For(config), config, GgufLayout.Block("attn_qkv.weight"), GgufLayout.Block("ffn_up.weight"));

    private static TensorLayout Fused(TensorLayout layout, ModelConfig config, TensorPart qkv, TensorPart gateUp)
    {
        long qkvRows = config.QueryColumns + (2L * config.KvColumns);
        long gateUpRows = 2L * config.FeedForwardSize;
        return layout with
        {
            Layer = new Dictionary<LayerTensor, TensorPart>(layout.Layer)
            {
                [LayerTensor.Query] = qkv with { FusedRows = qkvRows },
                [LayerTensor.Key] = qkv with { RowStart = config.QueryColumns, FusedRows = qkvRows },
                [LayerTensor.Value] = qkv with { RowStart = config.QueryColumns + config.KvColumns, FusedRows = qkvRows },
                [LayerTensor.Gate] = gateUp with { FusedRows = gateUpRows },
                [LayerTensor.Up] = gateUp with { RowStart = config.FeedForwardSize, FusedRows = gateUpRows },
            },
        };
    }
}
