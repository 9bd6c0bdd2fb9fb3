using System.Text.Json;
using Cleave.Models.Storage;

namespace Cleave.Models.HuggingFace;

/// <summary>Writes some layers of a checkpoint as a directory of their own: config.json with the layers stated, and one safetensors file.</summary>
internal static class HfMiddle
{
    public static void Write(HfModel source, LayerRange range, string path, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        if (Directory.Exists(path) || File.Exists(path))
        {
            throw new IOException($"{path} exists; a checkpoint's layers are written to a new directory");
        }

        string temporary = $"{path}.{Guid.NewGuid():N}.partial";
        try
        {
            Directory.CreateDirectory(temporary);
            WriteConfig(Path.Combine(source.Path, HfModel.ConfigName), Path.Combine(temporary, HfModel.ConfigName), range);
            SafetensorsWriter.Write(Path.Combine(temporary, HfModel.WeightsName), Tensors(source, range), progress, cancellationToken);
            Directory.Move(temporary, path);
        }
        finally
        {
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }

    /// <summary>Names a family's files may use for the tensors of some layers.</summary>
    public static HashSet<string> TensorNames(ModelConfig config, TensorLayout layout, LayerRange range)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach ((LayerTensor role, TensorPart part) in layout.Layer)
        {
            bool perExpert = config.Experts > 0 && TensorShapes.IsExpertRole(role) && !part.Stacked;
            for (int layer = range.Start; layer < range.End; layer++)
            {
                for (int expert = 0; expert < (perExpert ? config.Experts : 1); expert++)
                {
                    names.Add(part.Name(layer, expert));
                }
            }
        }

        return names;
    }

    private static List<StoredTensor> Tensors(HfModel source, LayerRange range)
    {
        HashSet<string> names = TensorNames(source.Config, source.Layout, range);
        return [.. source.Tensors.Values.Where(tensor => names.Contains(tensor.Name))];
    }

    /// <summary>Copies config.json and states the layers.</summary>
    public static void WriteConfig(string from, string to, LayerRange range)
    {
        using FileStream stream = File.Create(to);
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        foreach (JsonProperty property in JsonFile.Read(from, 4 << 20).EnumerateObject())
        {
            if (property.Name != "cleave")
            {
                property.WriteTo(writer);
            }
        }

        writer.WriteStartObject("cleave");
        writer.WriteStartArray("layers");
        writer.WriteNumberValue(range.Start);
        writer.WriteNumberValue(range.End);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
