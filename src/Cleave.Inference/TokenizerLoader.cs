using Cleave.Models;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;
using Cleave.Tokenization;
using Cleave.Tokenization.HuggingFace;

namespace Cleave.Inference;

/// <summary>Makes a model's tokenizer from what its file says of it. The models assembly knows no tokenizer, and this one no file format.</summary>
public static class TokenizerLoader
{
    /// <summary>The tokenizer of an open model.</summary>
    /// <exception cref="ModelFormatException">The file has no tokenizer, or one of a kind that is not supported.</exception>
    public static Tokenizer Load(IModelSource source) => source switch
    {
        QuantizedModel quantized => Load(quantized.Source),
        HfModel checkpoint => Tokenizer.Create(TokenizerFiles.Read(checkpoint.Path)),
        GgufModel gguf => Load(gguf.Metadata),
        _ => throw Missing(source.Path),
    };

    /// <summary>The tokenizer of a model's files, whether or not there are weights with it that can be used.</summary>
    /// <param name="path">A GGUF file, a checkpoint's directory, a tokenizer.json or a tokenizer.model.</param>
    /// <exception cref="ModelFormatException">No such file, or none with a tokenizer.</exception>
    /// <exception cref="TokenizerFormatException">A tokenizer that is malformed or not supported.</exception>
    public static Tokenizer Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            return Tokenizer.Create(TokenizerFiles.Read(path));
        }

        return Path.GetExtension(path) is ".json" or ".model"
            ? Tokenizer.Create(TokenizerFiles.ReadFile(path))
            : Load(GgufMetadata.Open(path));
    }

    private static Tokenizer Load(GgufMetadata metadata)
    {
        GgufTokenizer data = GgufTokenizer.Read(metadata) ?? throw Missing(metadata.Path);
        return Tokenizer.Create(new TokenizerDefinition
        {
            Source = metadata.Path,
            Model = data.Model,
            PreTokenizer = data.PreTokenizer,
            Tokens = data.Tokens,
            TokenTypes = data.TokenTypes,
            Merges = data.Merges,
            Scores = data.Scores,
            BosId = data.BosId,
            EosId = data.EosId,
            EndOfTurnId = data.EndOfTurnId,
            UnknownId = data.UnknownId,
            AddBos = data.AddBos,
            AddSpacePrefix = data.AddSpacePrefix,
            ChatTemplate = data.ChatTemplate,
        });
    }

    private static ModelFormatException Missing(string path) =>
        new($"{path} has no tokenizer inside; a middle-only export is for workers, give the trusted side the whole model");
}
