using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Cleave.Inference.Tests.Verification;

/// <summary>A checkpoint in memory, to be rearranged and written anew.</summary>
internal sealed class Checkpoint
{
    private readonly Dictionary<string, (string Type, long[] Shape, byte[] Data)> _tensors = [];

    public Checkpoint(JsonObject config) => Config = config;

    public JsonObject Config { get; }

    public static string Fixture(string name) => PackedModels.Folder(name);

    public static Checkpoint Read(string name)
    {
        var checkpoint = new Checkpoint(JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture(name), "config.json")))!.AsObject());
        byte[] file = File.ReadAllBytes(Path.Combine(Fixture(name), "model.safetensors"));
        int header = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        foreach (JsonProperty tensor in JsonDocument.Parse(file.AsMemory(8, header)).RootElement.EnumerateObject())
        {
            if (tensor.Name != "__metadata__")
            {
                int[] offsets = [.. tensor.Value.GetProperty("data_offsets").EnumerateArray().Select(o => o.GetInt32())];
                checkpoint._tensors[tensor.Name] = (
                    tensor.Value.GetProperty("dtype").GetString()!,
                    [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())],
                    file[(8 + header + offsets[0])..(8 + header + offsets[1])]);
            }
        }

        return checkpoint;
    }

    public IEnumerable<string> Names => _tensors.Keys;

    public (string Type, long[] Shape, byte[] Data) this[string name] => _tensors[name];

    public void Add(string name, string type, long[] shape, byte[] data) => _tensors[name] = (type, shape, data);

    /// <summary>A tensor's numbers, or null when there is none.</summary>
    public double[]? Numbers(string name)
    {
        if (!_tensors.TryGetValue(name, out (string Type, long[] Shape, byte[] Data) tensor))
        {
            return null;
        }

        int width = tensor.Type == "F32" ? 4 : 2;
        return [.. Enumerable.Range(0, tensor.Data.Length / width).Select(i => tensor.Type switch
        {
            "F32" => BinaryPrimitives.ReadSingleLittleEndian(tensor.Data.AsSpan(4 * i)),
            "F16" => (double)BinaryPrimitives.ReadHalfLittleEndian(tensor.Data.AsSpan(2 * i)),
            _ => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(tensor.Data.AsSpan(2 * i)) << 16),
        })];
    }

    public void Copy(string from, string to) => _tensors[to] = _tensors[from];

    public void Remove(params string[] names) => Array.ForEach(names, name => Assert.True(_tensors.Remove(name)));

    /// <summary>Makes one matrix of several, one above another, in their place.</summary>
    public void Stack(string to, params string[] from)
    {
        (string type, long[] shape, _) = _tensors[from[0]];
        _tensors[to] = (type, [from.Sum(name => _tensors[name].Shape[0]), shape[1]], [.. from.SelectMany(name => _tensors[name].Data)]);
        Remove(from);
    }

    /// <summary>The first rows of a matrix as a matrix of their own.</summary>
    public void Slice(string from, string to, int rows)
    {
        (string type, long[] shape, byte[] data) = _tensors[from];
        _tensors[to] = (type, [rows, shape[1]], data[..(int)(data.Length / shape[0] * rows)]);
    }

    public string WriteTo(DirectoryInfo folder, string name, int shards = 1)
    {
        string path = folder.CreateSubdirectory(name).FullName;
        File.WriteAllText(Path.Combine(path, "config.json"), Config.ToJsonString());
        string[][] parts = [.. _tensors.Keys.Select((tensor, i) => (tensor, i)).GroupBy(pair => pair.i % shards, pair => pair.tensor).Select(group => group.ToArray())];
        var map = new JsonObject();
        for (int shard = 0; shard < parts.Length; shard++)
        {
            string file = shards == 1 ? "model.safetensors" : $"model-{shard + 1:00000}-of-{shards:00000}.safetensors";
            Write(Path.Combine(path, file), parts[shard]);
            foreach (string tensor in parts[shard])
            {
                map[tensor] = file;
            }
        }

        if (shards > 1)
        {
            File.WriteAllText(Path.Combine(path, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
        }

        return path;
    }

    /// <summary>Writes all tensors as one file.</summary>
    public string WriteFile(string path)
    {
        Write(path, [.. _tensors.Keys]);
        return path;
    }

    private void Write(string path, string[] names)
    {
        var header = new JsonObject();
        long offset = 0;
        foreach (string name in names)
        {
            (string type, long[] shape, byte[] data) = _tensors[name];
            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. shape.Select(size => (JsonNode)size)]),
                ["data_offsets"] = new JsonArray(offset, offset + data.Length),
            };
            offset += data.Length;
        }

        byte[] json = JsonSerializer.SerializeToUtf8Bytes(header);
        using FileStream stream = File.Create(path);
        stream.Write(BitConverter.GetBytes((long)json.Length));
        stream.Write(json);
        foreach (string name in names)
        {
            stream.Write(_tensors[name].Data);
        }
    }
}
