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
    public static Tokenizer Load(IModelSource source)
    {
        if (source is QuantizedModel quantized)
        {
            return Load(quantized.Source);
        }

        if (source is HfModel checkpoint)
        {
            return Tokenizer.Create(TokenizerFiles.Read(checkpoint.Path));
        }

        if (source is not GgufModel gguf || GgufTokenizer.Read(gguf.Metadata) is not { } data)
        {
            throw new ModelFormatException($"{source.Path} has no tokenizer inside; a middle-only export is for workers, give the trusted side the whole model");
        }

        return Tokenizer.Create(new TokenizerDefinition
        {
            Source = source.Path,
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
}
