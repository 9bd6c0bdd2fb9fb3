using Cleave.Compute;

namespace Cleave.Models.Gguf;

/// <summary>The format's tensor type numbers.</summary>
internal static class GgufTensorTypes
{
    private static readonly (uint Id, ElementType Type)[] Supported =
    [
        (0, ElementType.F32), (1, ElementType.F16), (2, ElementType.Q4_0), (8, ElementType.Q8_0), (12, ElementType.Q4_K),
        (13, ElementType.Q5_K), (14, ElementType.Q6_K), (30, ElementType.BF16),
    ];

    // Named so that a refusal says what the file holds.
    private static readonly Dictionary<uint, string> Unsupported = new()
    {
        [3] = "Q4_1",
        [6] = "Q5_0",
        [7] = "Q5_1",
        [9] = "Q8_1",
        [10] = "Q2_K",
        [11] = "Q3_K",
        [15] = "Q8_K",
        [16] = "IQ2_XXS",
        [17] = "IQ2_XS",
        [18] = "IQ3_XXS",
        [19] = "IQ1_S",
        [20] = "IQ4_NL",
        [21] = "IQ3_S",
        [22] = "IQ2_S",
        [23] = "IQ4_XS",
        [24] = "I8",
        [25] = "I16",
        [26] = "I32",
        [27] = "I64",
        [28] = "F64",
        [29] = "IQ1_M",
        [34] = "TQ1_0",
        [35] = "TQ2_0",
        [39] = "MXFP4",
    };

    /// <summary>"F32, F16, ...".</summary>
    public static string SupportedNames => string.Join(", ", Supported.Select(pair => pair.Type));

    public static bool TryFrom(uint id, out ElementType type)
    {
        foreach ((uint supportedId, ElementType supportedType) in Supported)
        {
            if (supportedId == id)
            {
                type = supportedType;
                return true;
            }
        }

        type = default;
        return false;
    }

    public static uint IdOf(ElementType type) => Array.Find(Supported, pair => pair.Type == type).Id;

    public static string NameOf(uint id) => Unsupported.TryGetValue(id, out string? name) ? name : $"number {id}";
}
