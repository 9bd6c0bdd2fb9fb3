using System.Text.Json;
using Cleave.Compute;

namespace Cleave.Models.HuggingFace;

/// <summary>
/// The rotary embedding a config.json describes: "rope_parameters" (transformers 5), possibly one for each kind of layer, or
/// "rope_theta" and "rope_scaling" (transformers 4).
/// </summary>
internal static class HfRope
{
    /// <summary>The table of the model, or of its layers of one kind ("full_attention", "sliding_attention").</summary>
    /// <param name="config">The file.</param>
    /// <param name="headDim">Numbers per head.</param>
    /// <param name="layerKind">Kind of layer, for files that tell them apart.</param>
    /// <param name="oldThetaName">Where old files keep this kind's base.</param>
    /// <param name="fallbackTheta">The base when the file has none.</param>
    public static RopeTable Read(
        HfConfig config, int headDim, string layerKind = "full_attention", string oldThetaName = "rope_theta", double fallbackTheta = 10000)
    {
        JsonElement? parameters = config.Find("rope_parameters");
        if (parameters is { ValueKind: JsonValueKind.Object } all && all.TryGetProperty(layerKind, out JsonElement ofKind))
        {
            parameters = ofKind;
        }

        // Old files scale the global layers only.
        JsonElement? scaling = parameters ?? (oldThetaName == "rope_theta" ? config.Find("rope_scaling") : null);
        if (scaling is { ValueKind: not JsonValueKind.Object } odd)
        {
            throw config.Fail("rope_scaling", odd, "an object is expected");
        }

        double theta = Member(scaling, "rope_theta") is { } given
            ? config.Number("rope_theta", given, 0, 1e12)
            : config.Number(oldThetaName, 0, 1e12, fallbackTheta);
        double partial = Member(scaling, "partial_rotary_factor") is { } share
            ? config.Number("partial_rotary_factor", share, 0, 1.000001)
            : config.Number("partial_rotary_factor", 0, 1.000001, 1);
        int dimensions = (int)(headDim * partial);
        if (dimensions < 2 || dimensions % 2 != 0)
        {
            throw new ModelFormatException($"{config.Path}: {dimensions} of the {headDim} numbers of a head would rotate; an even number is expected");
        }

        double[] frequencies = RopeFrequencies.Plain(theta, dimensions);
        string type = (Member(scaling, "rope_type") ?? Member(scaling, "type"))?.ToString() ?? "default";
        switch (type)
        {
            case "default":
                break;
            case "llama3":
                RopeFrequencies.ScaleLlama3(
                    frequencies,
                    Need(config, scaling, "factor"),
                    Need(config, scaling, "low_freq_factor"),
                    Need(config, scaling, "high_freq_factor"),
                    Need(config, scaling, "original_max_position_embeddings"));
                break;
            default:
                throw new ModelFormatException($"{config.Path}: RoPE variant '{type}' is not supported; supported: default, llama3");
        }

        return new RopeTable(frequencies, RopeLayout.Halves);
    }

    private static double Need(HfConfig config, JsonElement? scaling, string name) => Member(scaling, name) is { } value
        ? config.Number(name, value, 0, 1e9)
        : throw new ModelFormatException($"{config.Path}: RoPE variant 'llama3' lacks '{name}'");

    private static JsonElement? Member(JsonElement? of, string name) =>
        of is { ValueKind: JsonValueKind.Object } value && value.TryGetProperty(name, out JsonElement member) && member.ValueKind != JsonValueKind.Null
            ? member
            : null;
}
