using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Models;

namespace Cleave.GpuBench;

/// <summary>A model of a given shape whose matrices are dense random numbers, for timing.</summary>
internal sealed unsafe class RandomModel : IModelSource
{
    private readonly RandomBlock _block;
    private readonly float* _ones;

    public RandomModel(ModelConfig config, RandomBlock block)
    {
        Config = config;
        _block = block;
        _ones = (float*)NativeMemory.Alloc((nuint)config.HiddenSize, sizeof(float));
        new Span<float>(_ones, config.HiddenSize).Fill(1);
    }

    public string Path => "random:" + Config.Name;

    public ModelConfig Config { get; }

    public LayerRange Layers => new(0, Config.Layers);

    public bool HasEnds => true;

    /// <summary>Mistral 7B (32 layers, d 4096, 32/8 heads of 128, ffn 14336, vocabulary 32768).</summary>
    public static ModelConfig Mistral7B { get; } = Shape("mistral-7b", 32, 4096, 32768);

    /// <summary>Mistral NeMo 12B (40 layers, d 5120, 32/8 heads of 128, ffn 14336, vocabulary 131072).</summary>
    public static ModelConfig Nemo12B { get; } = Shape("nemo-12b", 40, 5120, 131072);

    public TensorData? Layer(int layer, LayerTensor tensor)
    {
        int query = Config.QueryColumns;
        int kv = Config.KvColumns;
        return tensor switch
        {
            LayerTensor.AttentionNorm or LayerTensor.FeedForwardNorm => Ones(),
            LayerTensor.Query => _block.Matrix("q", query, Config.HiddenSize),
            LayerTensor.Key => _block.Matrix("k", kv, Config.HiddenSize),
            LayerTensor.Value => _block.Matrix("v", kv, Config.HiddenSize),
            LayerTensor.AttentionOutput => _block.Matrix("o", Config.HiddenSize, query),
            LayerTensor.Gate => _block.Matrix("gate", Config.FeedForwardSize, Config.HiddenSize),
            LayerTensor.Up => _block.Matrix("up", Config.FeedForwardSize, Config.HiddenSize),
            LayerTensor.Down => _block.Matrix("down", Config.HiddenSize, Config.FeedForwardSize),
            _ => null,
        };
    }

    public TensorData Expert(int layer, int expert, LayerTensor tensor) => throw new NotSupportedException();

    public TensorData End(EndTensor tensor) =>
        tensor == EndTensor.FinalNorm ? Ones() : _block.Matrix(tensor.ToString(), Config.VocabularySize, Config.HiddenSize);

    public void Dispose() => NativeMemory.Free(_ones);

    private static ModelConfig Shape(string name, int layers, int hidden, int vocabulary) => new()
    {
        Architecture = "llama",
        Name = name,
        Layers = layers,
        HiddenSize = hidden,
        Heads = 32,
        KvHeads = 8,
        HeadDim = 128,
        FeedForwardSize = 14336,
        VocabularySize = vocabulary,
        ContextLength = 32768,
        NormEpsilon = 1e-5f,
        AttentionScale = (float)(1 / Math.Sqrt(128)),
        Rope = new RopeTable([.. Enumerable.Range(0, 64).Select(i => Math.Pow(1e6, -2.0 * i / 128))], RopeLayout.Interleaved),
    };

    private TensorData Ones() => new("norm", ElementType.F32, [Config.HiddenSize], (byte*)_ones, Config.HiddenSize * sizeof(float), this);
}
