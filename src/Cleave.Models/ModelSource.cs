using Cleave.Models.Gguf;

namespace Cleave.Models;

/// <summary>Opens a model by what its path holds.</summary>
public static class ModelSource
{
    /// <summary>Opens a GGUF file.</summary>
    /// <exception cref="ModelFormatException">No such model, malformed, or of a kind that is not supported.</exception>
    public static IModelSource Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            throw new ModelFormatException($"{path}: is a directory; give the path of a .gguf file");
        }

        return File.Exists(path) ? GgufModel.Open(path) : throw new ModelFormatException($"{path}: no such file");
    }
}
