using System.Numerics.Tensors;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Benchmarks.Report;

/// <summary>The bundled model, unsplit, as the product runs it: ids in, logits out, caches and all.</summary>
internal sealed class BundledModel : IDisposable
{
    private const int Context = 2048;
    private readonly IModelSource _source;
    private readonly LocalHead _embedding;
    private readonly LocalTail _layers;
    private readonly float[] _hidden;
    private readonly float[] _logits;
    private readonly int[] _rows = [.. Enumerable.Range(0, 512)];

    public BundledModel(IComputeDevice device, string path, ElementType kvType = ElementType.F32)
    {
        _source = ModelSource.Open(path);
        Tokenizer = TokenizerLoader.Load(_source);
        _embedding = new LocalHead(device, _source, new LayerRange(0, 0), Context, kvType);
        _layers = new LocalTail(device, _source, new LayerRange(0, _source.Config.Layers), Context, kvType);
        _hidden = new float[512 * _source.Config.HiddenSize];
        _logits = new float[512 * _layers.VocabularySize];
        KvBytesPerToken = MemoryNeeds.KvBytesPerToken(_source.Config, _source.Config.Layers, kvType);
    }

    public Tokenizer Tokenizer { get; }

    /// <summary>Bytes that the keys and values of one token take, over all layers.</summary>
    public long KvBytesPerToken { get; }

    public int VocabularySize => _layers.VocabularySize;

    /// <summary>Seconds that <paramref name="count"/> greedy tokens take after a prompt, which is not timed.</summary>
    public double Decode(ReadOnlySpan<int> prompt, int count)
    {
        using var session = new Session(this);
        int next = Greedy(session.Run(prompt, 1));
        return Pairs.Time(() =>
        {
            for (int i = 0; i < count; i++)
            {
                next = Greedy(session.Run([next], 1));
            }
        });
    }

    /// <summary>Seconds that a prompt takes, one row of logits with it.</summary>
    public double Prefill(int[] prompt)
    {
        using var session = new Session(this);
        return Pairs.Time(() => session.Run(prompt, 1));
    }

    /// <summary>The prompt and <paramref name="count"/> greedy tokens.</summary>
    public int[] Continue(ReadOnlySpan<int> prompt, int count)
    {
        using var session = new Session(this);
        var tokens = new List<int>(prompt.ToArray());
        int next = Greedy(session.Run(prompt, 1));
        for (int i = 0; i < count; i++)
        {
            tokens.Add(next);
            next = Greedy(session.Run([next], 1));
        }

        return [.. tokens];
    }

    /// <summary>Logits after each of the tokens: [tokens, vocabulary].</summary>
    public ReadOnlySpan<float> Logits(ReadOnlySpan<int> tokens)
    {
        using var session = new Session(this);
        return session.Run(tokens, tokens.Length);
    }

    public void Dispose()
    {
        _layers.Dispose();
        _embedding.Dispose();
        _source.Dispose();
    }

    private static int Greedy(ReadOnlySpan<float> logits) => TensorPrimitives.IndexOfMax(logits);

    /// <summary>One conversation.</summary>
    private sealed class Session(BundledModel model) : IDisposable
    {
        private readonly KvCache _head = model._embedding.CreateCache(Context);
        private readonly KvCache _tail = model._layers.CreateCache(Context);
        private readonly TreeRow[] _tree = new TreeRow[512];
        private readonly ulong[] _ids = new ulong[512];
        private ulong _last;

        /// <summary>Appends and commits tokens; the logits of the last <paramref name="wanted"/> of them.</summary>
        public ReadOnlySpan<float> Run(ReadOnlySpan<int> tokens, int wanted)
        {
            int rows = tokens.Length;
            for (int i = 0; i < rows; i++)
            {
                _tree[i] = new TreeRow(_last + 1, _last);
                _ids[i] = ++_last;
            }

            Span<float> hidden = model._hidden.AsSpan(0, rows * (model._hidden.Length / 512));
            Span<float> logits = model._logits.AsSpan(0, wanted * model.VocabularySize);
            model._embedding.Run(_head, _tree.AsSpan(0, rows), tokens, hidden);
            model._layers.Run(_tail, _tree.AsSpan(0, rows), hidden, model._rows.AsSpan(rows - wanted, wanted), logits);
            _head.Keep(_ids.AsSpan(0, rows));
            _tail.Keep(_ids.AsSpan(0, rows));
            return logits;
        }

        public void Dispose()
        {
            _head.Dispose();
            _tail.Dispose();
        }
    }
}
