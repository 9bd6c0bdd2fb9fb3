using Cleave.Models;
using Cleave.Models.Gguf;
using Cleave.Tokenization;

namespace Cleave.Cli.Running;

/// <summary>The tokenizer a model file carries.</summary>
internal static class ModelTokenizer
{
    /// <summary>Reads it.</summary>
    /// <exception cref="ModelFormatException">The file has none.</exception>
    public static Tokenizer Read(IModelSource source)
    {
        GgufTokenizer? data = source is GgufModel gguf ? GgufTokenizer.Read(gguf.Metadata) : null;
        if (data is null)
        {
            throw new ModelFormatException($"{source.Path}: has no tokenizer; a middle-only export serves a worker, the trusted side needs the whole model");
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
