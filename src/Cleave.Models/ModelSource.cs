using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models;

/// <summary>Opens a model by what its path holds.</summary>
public static class ModelSource
{
    /// <summary>Opens a GGUF file, or a directory with a Hugging Face checkpoint.</summary>
    /// <exception cref="ModelFormatException">No such model, malformed, or of a kind that is not supported.</exception>
    public static IModelSource Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Directory.Exists(path) ? HfModel.Open(path)
            : File.Exists(path) ? GgufModel.Open(path)
            : throw new ModelFormatException($"{path}: no such file or directory");
    }
}
