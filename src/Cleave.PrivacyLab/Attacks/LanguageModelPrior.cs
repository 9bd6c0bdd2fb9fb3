using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Models;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>A public model, whole, as a language model: what follows a prefix, and how likely it is.</summary>
public sealed class LanguageModelPrior : IDisposable
{
    private readonly LocalHead _embedding;
    private readonly LocalTail _layers;
    private readonly int _width;

    /// <param name="device">Where to run.</param>
    /// <param name="source">The public model file.</param>
    /// <param name="kvTokens">Rows all beams together may hold.</param>
    public LanguageModelPrior(IComputeDevice device, IModelSource source, int kvTokens)
    {
        // All layers in the tail: its logits are the model's.
        _embedding = new LocalHead(device, source, new LayerRange(0, 0), kvTokens);
        _layers = new LocalTail(device, source, new LayerRange(0, source.Config.Layers), kvTokens);
        _width = source.Config.HiddenSize;
        KvTokens = kvTokens;
    }

    /// <summary>Tokens there are.</summary>
    public int VocabularySize => _layers.VocabularySize;

    /// <summary>Rows all sequences together may hold.</summary>
    public int KvTokens { get; }

    /// <summary>Starts a set of sequences that may share prefixes.</summary>
    public Sequences Start() => new(this);

    /// <inheritdoc />
    public void Dispose()
    {
        _embedding.Dispose();
        _layers.Dispose();
    }

    /// <summary>A tree of tokens; each row gives the logits of what follows it.</summary>
    public sealed class Sequences : IDisposable
    {
        private readonly LanguageModelPrior _owner;
        private readonly KvCache _head;
        private readonly KvCache _layers;

        internal Sequences(LanguageModelPrior owner)
        {
            _owner = owner;
            _head = owner._embedding.CreateCache(owner.KvTokens);
            _layers = owner._layers.CreateCache(owner.KvTokens);
        }

        /// <summary>Appends rows and returns the logits after them: [rows, vocabulary].</summary>
        public float[] Append(ReadOnlySpan<TreeRow> rows, ReadOnlySpan<int> tokens)
        {
            var hidden = new float[rows.Length * _owner._width];
            var wanted = new int[rows.Length];
            for (int i = 0; i < wanted.Length; i++)
            {
                wanted[i] = i;
            }

            var logits = new float[rows.Length * _owner.VocabularySize];
            _owner._embedding.Run(_head, rows, tokens, hidden);
            _owner._layers.Run(_layers, rows, hidden, wanted, logits);
            return logits;
        }

        /// <summary>Commits a chain, which ends every sequence that does not start with it.</summary>
        public void Keep(ReadOnlySpan<ulong> ids)
        {
            _head.Keep(ids);
            _layers.Keep(ids);
        }

        /// <inheritdoc />
        public void Dispose()
        {
            _head.Dispose();
            _layers.Dispose();
        }
    }
}
