using System.Text;
using Cleave.Compute;
using Cleave.Models;

namespace Cleave.CheckpointWriter;

/// <summary>
/// Writes a BF16 GGUF of a large shape that computes a small model's function:
/// <list type="number">
/// <item>The residual stream lives in the first d numbers; every output row past them is exactly zero. Norm weights are multiplied by
/// sqrt(d / D) and epsilon by d / D, so that a norm over D numbers equals one over d.</item>
/// <item>Rotated pair i becomes pair 2i of a head twice as wide, which turns at the same rate; the other query rows are zero. Queries are
/// multiplied by sqrt(2) against the wider head's scale.</item>
/// <item>Query head h becomes 4·(h / 3) + h mod 3: groups of three among groups of four. What dead heads and dead feed-forward numbers give is
/// multiplied by zeros.</item>
/// <item>The real layers are spread evenly, first and last included; the others add exact zeros.</item>
/// </list>
/// Everything that cannot reach the output is random, not zero: zeros flatter a GPU.
/// </summary>
internal sealed class Checkpoint(string sourcePath, IModelSource source, TargetShape shape)
{
    private const int Alignment = 32;

    private readonly ModelConfig _config = source.Config;
    private readonly ushort[] _noise = MakeNoise();
    private readonly List<(string Name, long[] Shape, bool Single, Func<long, float[]?> Row)> _tensors = [];
    private long _noiseAt;

    /// <summary>Target layer of each source layer.</summary>
    public static int[] Spread(int sourceLayers, int targetLayers) =>
        [.. Enumerable.Range(0, sourceLayers).Select(i => sourceLayers == 1 ? 0 : i * (targetLayers - 1) / (sourceLayers - 1))];

    public void Write(string path, Action<double> progress)
    {
        Require(shape.HeadDim == 2 * _config.HeadDim, $"the head is {shape.HeadDim} wide; twice the source's {_config.HeadDim} is needed");
        int group = _config.Heads / _config.KvHeads;
        int wideGroup = shape.Heads / shape.KvHeads;
        Require(group <= wideGroup && _config.KvHeads <= shape.KvHeads, "the target has too few heads");
        Require(_config.Layers <= shape.Layers && _config.HiddenSize <= shape.Hidden && _config.FeedForwardSize <= shape.FeedForward, "the target is smaller than the source");

        int d = _config.HiddenSize;
        float normScale = MathF.Sqrt((float)d / shape.Hidden);
        TensorData embedding = source.End(EndTensor.Embedding);
        TensorData head = source.End(EndTensor.LmHead);
        Matrix("token_embd.weight", shape.Vocabulary, shape.Hidden, row => row < embedding.Rows ? Padded(RowDecoder.Decode(embedding, row), shape.Hidden) : null);
        Vector("output_norm.weight", Norm(source.End(EndTensor.FinalNorm), normScale));
        Matrix("output.weight", shape.Vocabulary, shape.Hidden, row => row < head.Rows ? Extended(RowDecoder.Decode(head, row), shape.Hidden) : null);
        int[] spread = Spread(_config.Layers, shape.Layers);
        for (int layer = 0; layer < shape.Layers; layer++)
        {
            Layer(layer, Array.IndexOf(spread, layer), d, group, wideGroup, normScale);
        }

        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 4 << 20);
        Header(stream);
        long written = 0;
        long total = _tensors.Sum(t => Bytes(t.Shape, t.Single));
        var row16 = new ushort[Math.Max(shape.Hidden, Math.Max(shape.FeedForward, shape.Heads * shape.HeadDim))];
        foreach ((string _, long[] dimensions, bool single, Func<long, float[]?> make) in _tensors)
        {
            int columns = (int)dimensions[^1];
            long rows = dimensions.Length == 1 ? 1 : dimensions[0];
            for (long row = 0; row < rows; row++)
            {
                float[]? values = make(row);
                if (single)
                {
                    stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values));
                    continue;
                }

                Noise(row16.AsSpan(0, columns));
                for (int i = 0; values is not null && i < columns; i++)
                {
                    // NaN marks a number that cannot reach the output: the noise stays.
                    row16[i] = float.IsNaN(values[i]) ? row16[i] : Brain(values[i]);
                }

                stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(row16.AsSpan(0, columns)));
            }

            Pad(stream);
            written += Bytes(dimensions, single);
            progress((double)written / total);
        }
    }

    private void Layer(int layer, int from, int d, int group, int wideGroup, float normScale)
    {
        string name = $"blk.{layer}.";
        int headDim = _config.HeadDim;
        bool real = from >= 0;
        TensorData? Role(LayerTensor role) => real ? source.Layer(from, role) : null;
        Vector(name + "attn_norm.weight", Norm(Role(LayerTensor.AttentionNorm), normScale));
        Vector(name + "ffn_norm.weight", Norm(Role(LayerTensor.FeedForwardNorm), normScale));

        // Row r of a wide head: GGUF lays pair p at rows 2p, 2p+1, so pair 2i is rows 4i, 4i+1.
        TensorData? q = Role(LayerTensor.Query);
        Matrix(name + "attn_q.weight", shape.Heads * shape.HeadDim, shape.Hidden, row =>
        {
            int wideHead = (int)row / shape.HeadDim;
            int r = (int)row % shape.HeadDim;
            int sourceHead = (wideHead / wideGroup * group) + (wideHead % wideGroup);
            if (q is null || wideHead % wideGroup >= group || wideHead / wideGroup >= _config.KvHeads)
            {
                return null;
            }

            if (r % 4 >= 2)
            {
                return new float[shape.Hidden];
            }

            float[] values = RowDecoder.Decode(q, (sourceHead * headDim) + (r / 4 * 2) + (r % 4));
            return Extended([.. values.Select(v => v * MathF.Sqrt(2))], shape.Hidden);
        });
        TensorData? k = Role(LayerTensor.Key);
        Matrix(name + "attn_k.weight", shape.KvHeads * shape.HeadDim, shape.Hidden, row =>
        {
            int wideHead = (int)row / shape.HeadDim;
            int r = (int)row % shape.HeadDim;
            return k is null || wideHead >= _config.KvHeads || r % 4 >= 2
                ? null
                : Extended(RowDecoder.Decode(k, (wideHead * headDim) + (r / 4 * 2) + (r % 4)), shape.Hidden);
        });
        TensorData? v = Role(LayerTensor.Value);
        Matrix(name + "attn_v.weight", shape.KvHeads * shape.HeadDim, shape.Hidden, row =>
        {
            int wideHead = (int)row / shape.HeadDim;
            int r = (int)row % shape.HeadDim;
            return v is null || wideHead >= _config.KvHeads || r >= headDim ? null : Extended(RowDecoder.Decode(v, (wideHead * headDim) + r), shape.Hidden);
        });
        TensorData? o = Role(LayerTensor.AttentionOutput);
        Matrix(name + "attn_output.weight", shape.Hidden, shape.Heads * shape.HeadDim, row =>
        {
            var wide = new float[shape.Heads * shape.HeadDim];
            if (o is not null && row < d)
            {
                float[] narrow = RowDecoder.Decode(o, row);
                for (int i = 0; i < narrow.Length; i++)
                {
                    int sourceHead = i / headDim;
                    int wideHead = (sourceHead / group * wideGroup) + (sourceHead % group);
                    wide[(wideHead * shape.HeadDim) + (i % headDim)] = narrow[i];
                }
            }

            return wide;
        });
        foreach ((string part, LayerTensor role) in new[] { ("ffn_gate.weight", LayerTensor.Gate), ("ffn_up.weight", LayerTensor.Up) })
        {
            TensorData? matrix = Role(role);
            Matrix(name + part, shape.FeedForward, shape.Hidden, row =>
                matrix is not null && row < matrix.Rows ? Extended(RowDecoder.Decode(matrix, row), shape.Hidden) : null);
        }

        TensorData? down = Role(LayerTensor.Down);
        Matrix(name + "ffn_down.weight", shape.Hidden, shape.FeedForward, row =>
            down is not null && row < d ? Padded(RowDecoder.Decode(down, row), shape.FeedForward) : new float[shape.FeedForward]);
    }

    private float[] Norm(TensorData? weight, float scale)
    {
        var wide = new float[shape.Hidden];
        float[] narrow = weight is null ? [] : RowDecoder.Decode(weight, 0);
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = i < narrow.Length ? narrow[i] * scale : 0.5f + (i % 7 * 0.1f);
        }

        return wide;
    }

    // Numbers past the source's meet zeros of the residual stream: noise.
    private static float[] Extended(float[] values, int columns)
    {
        var wide = new float[columns];
        Array.Fill(wide, float.NaN);
        values.CopyTo(wide, 0);
        return wide;
    }

    private static float[] Padded(float[] values, int columns)
    {
        var wide = new float[columns];
        values.CopyTo(wide, 0);
        return wide;
    }

    private void Matrix(string name, int rows, int columns, Func<long, float[]?> row) => _tensors.Add((name, [rows, columns], false, row));

    private void Vector(string name, float[] values) => _tensors.Add((name, [values.Length], true, _ => values));

    private void Header(Stream stream)
    {
        string arch = _config.Architecture;
        var replaced = new Dictionary<string, byte[]>
        {
            ["general.name"] = [8, 0, 0, 0, .. BitConverter.GetBytes((long)Encoding.UTF8.GetByteCount(shape.Name)), .. Encoding.UTF8.GetBytes(shape.Name)],
            [$"{arch}.block_count"] = Number(shape.Layers),
            [$"{arch}.embedding_length"] = Number(shape.Hidden),
            [$"{arch}.feed_forward_length"] = Number(shape.FeedForward),
            [$"{arch}.attention.head_count"] = Number(shape.Heads),
            [$"{arch}.attention.head_count_kv"] = Number(shape.KvHeads),
            [$"{arch}.attention.key_length"] = Number(shape.HeadDim),
            [$"{arch}.attention.value_length"] = Number(shape.HeadDim),
            [$"{arch}.rope.dimension_count"] = Number(shape.HeadDim),
            [$"{arch}.vocab_size"] = Number(shape.Vocabulary),
            [$"{arch}.attention.layer_norm_rms_epsilon"] = [6, 0, 0, 0, .. BitConverter.GetBytes(_config.NormEpsilon * _config.HiddenSize / shape.Hidden)],
        };
        var pairs = RawMetadata.Read(sourcePath).Where(p => !replaced.ContainsKey(p.Key) && p.Key is not "general.file_type" and not "general.alignment").ToList();
        pairs.AddRange(replaced.Select(p => (p.Key, p.Value)));
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((long)_tensors.Count);
        writer.Write((long)pairs.Count);
        foreach ((string key, byte[] value) in pairs)
        {
            Text(writer, key);
            writer.Write(value);
        }

        long offset = 0;
        foreach ((string name, long[] dimensions, bool single, Func<long, float[]?> _) in _tensors)
        {
            Text(writer, name);
            writer.Write(dimensions.Length);
            foreach (long dimension in dimensions.Reverse())
            {
                writer.Write(dimension);
            }

            // GGML types: 0 is F32, 30 is BF16.
            writer.Write(single ? 0 : 30);
            writer.Write(offset);
            offset = (offset + Bytes(dimensions, single) + Alignment - 1) / Alignment * Alignment;
        }

        writer.Flush();
        Pad(stream);
    }

    private static long Bytes(long[] dimensions, bool single) => dimensions.Aggregate(1L, (a, b) => a * b) * (single ? 4 : 2);

    private static byte[] Number(int value) => [4, 0, 0, 0, .. BitConverter.GetBytes(value)];

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }

    private static void Pad(Stream stream)
    {
        while (stream.Position % Alignment != 0)
        {
            stream.WriteByte(0);
        }
    }

    private static ushort[] MakeNoise()
    {
        var random = new Random(7);
        var noise = new ushort[(8 << 20) + 12345];
        for (int i = 0; i < noise.Length; i++)
        {
            noise[i] = Brain((float)((random.NextDouble() - 0.5) * 0.04) + 1e-4f);
        }

        return noise;
    }

    private void Noise(Span<ushort> row)
    {
        _noiseAt = (_noiseAt + 7919) % (_noise.Length - row.Length);
        _noise.AsSpan((int)_noiseAt, row.Length).CopyTo(row);
    }

    private static ushort Brain(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidOperationException(message);
        }
    }
}
