using Cleave.Models.Gguf;
using Cleave.Models.Hub;
using Cleave.Models.HuggingFace;

namespace Cleave.Models;

/// <summary>Opens a model by what its path holds.</summary>
public static class ModelSource
{
    /// <summary>Opens a GGUF file, a directory with a Hugging Face checkpoint, or a model in the hub's cache.</summary>
    /// <param name="path">The file or directory, or "OWNER/NAME[:file]".</param>
    /// <param name="precision">What loading does to its matrices.</param>
    /// <exception cref="ModelFormatException">No such model, malformed, or of a kind that is not supported.</exception>
    public static IModelSource Open(string path, WeightPrecision precision = WeightPrecision.Stored)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        path = Locate(path);
        IModelSource source = Directory.Exists(path) ? HfModel.Open(path)
            : File.Exists(path) ? GgufModel.Open(path)
            : throw new ModelFormatException($"{path}: no such file or directory");
        return precision == WeightPrecision.Q8 ? new QuantizedModel(source) : source;
    }

    /// <summary>The file or directory that is meant: a path as it is, else the place of "OWNER/NAME[:file]" in the hub's cache.</summary>
    /// <exception cref="ModelFormatException">It reads as a hub's name, and the cache lacks it.</exception>
    public static string Locate(string model)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        if (File.Exists(model) || Directory.Exists(model) || !HubName.TryParse(model, out HubName? name))
        {
            return model;
        }

        try
        {
            return new HubCache(HubSettings.FromEnvironment().CacheDirectory).Locate(name);
        }
        catch (HubException e)
        {
            throw new ModelFormatException(e.Message, e);
        }
    }
}
