using System.Text.Json;
using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>SmolLM 3: Llama in which every fourth layer does not rotate.</summary>
internal sealed class SmolLm3Family : ModelFamily
{
    private const int Interval = 4;

    public override string HfType => "smollm3";

    public override string GgufArchitecture => "smollm3";

    public override ModelConfig Configure(HfConfig file)
    {
        ModelConfig config = file.Common(tiedByCustom: true);
        int interval = file.Int("no_rope_layer_interval", 1, 1 << 12, Interval);
        JsonElement[]? rotates = file.PerLayer("no_rope_layers", config.Layers);

        // The list's name says the opposite of what it holds: 1 for a layer that rotates.
        bool[] rotating = [.. Enumerable.Range(0, config.Layers).Select(layer =>
            rotates is null ? (layer + 1) % interval != 0 : rotates[layer].ToString() is "1" or "True")];
        return config with
        {
            RotatesLayer = rotating,
            // Where the file does not list them, the layers that do not rotate slide.
            Windows = file.Flag("use_sliding_window") ? file.Windows(config.Layers, honourLayerTypes: true, layer => !rotating[layer]) : null,
        };
    }

    public override ModelConfig Configure(GgufFields fields)
    {
        ModelConfig config = fields.Common(RopeLayout.Interleaved);
        return config with { RotatesLayer = [.. Enumerable.Range(1, config.Layers).Select(layer => layer % Interval != 0)] };
    }
}
