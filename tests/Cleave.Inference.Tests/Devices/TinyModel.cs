using Cleave.Inference.Tests.Verification;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Inference.Tests.Devices;

/// <summary>A checkpoint of six small layers, and a tokenizer for its 320 ids: small enough for a GPU's kernels without a GPU.</summary>
internal static class TinyModel
{
    public static string Path { get; } = PackedModels.Folder("llama");

    /// <summary>Its ids are all that matters: every one of them has a text of its own.</summary>
    public static Tokenizer Tokenizer { get; } = Tokenizer.Create(new TokenizerDefinition
    {
        Model = "llama",
        Tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(3, 317).Select(static id => char.ConvertFromUtf32(0x4E00 + id))],
        Scores = [.. Enumerable.Repeat(0f, 320)],
        TokenTypes = [.. Enumerable.Range(0, 320).Select(static id => (int)(id == 0 ? TokenKind.Unknown : id < 3 ? TokenKind.Control : TokenKind.Normal))],
        UnknownId = 0,
        BosId = 1,
        EosId = 2,
    });

    public static IModelSource Open(WeightPrecision precision = WeightPrecision.Stored) => ModelSource.Open(Path, precision);
}
