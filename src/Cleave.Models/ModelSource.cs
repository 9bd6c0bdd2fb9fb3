using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models;

/// <summary>Opens a model by what its path holds.</summary>
public static class ModelSource
{
    /// <summary>Opens a GGUF file, or a directory with a Hugging Face checkpoint.</summary>
    /// <param name="path">The file or directory.</param>
    /// <param name="precision">What loading does to its matrices.</param>
    /// <exception cref="ModelFormatException">No such model, malformed, or of a kind that is not supported.</exception>
    public static IModelSource Open(string path, WeightPrecision precision = WeightPrecision.Stored)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        IModelSource source = Directory.Exists(path) ? HfModel.Open(path)
            : File.Exists(path) ? GgufModel.Open(path)
            : throw new ModelFormatException($"{path}: no such file or directory");
        return precision == WeightPrecision.Q8 ? new QuantizedModel(source) : source;
    }
}
