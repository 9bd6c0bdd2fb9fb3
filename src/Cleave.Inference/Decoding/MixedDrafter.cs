using Cleave.Inference.Sampling;

namespace Cleave.Inference.Decoding;

/// <summary>
/// Several sources in one tree: lookup in the conversation everywhere (it costs nothing), a draft model where lookup leaves
/// room for doubt. What they claim of the same token is joined by <see cref="AcceptanceModel"/>.
/// </summary>
public sealed class MixedDrafter : IDrafter
{
    private readonly IDrafter _lookup;
    private readonly ModelDrafter? _model;
    private int[] _asked = new int[64];

    /// <summary>Takes ownership of both. <paramref name="model"/> null drafts by lookup alone.</summary>
    public MixedDrafter(IDrafter lookup, ModelDrafter? model)
    {
        _lookup = lookup;
        _model = model;
    }

    /// <inheritdoc />
    public string Name => "auto";

    /// <inheritdoc />
    public bool IsCostly => _model is not null;

    /// <inheritdoc />
    public bool Pipelines => true;

    /// <inheritdoc />
    public void UseSampling(SamplingOptions sampling)
    {
        _lookup.UseSampling(sampling);
        _model?.UseSampling(sampling);
    }

    /// <inheritdoc />
    public void Begin(ReadOnlySpan<int> tokens, DraftTree tree)
    {
        _lookup.Begin(tokens, tree);
        _model?.Begin(tokens, tree);
    }

    /// <inheritdoc />
    public void Expand(DraftTree tree, ReadOnlySpan<int> nodes, double threshold)
    {
        // 1. Lookup first: what it claims weighs in what the model's candidates are worth.
        _lookup.Expand(tree, nodes, threshold);
        if (_model is null)
        {
            return;
        }

        // 2. The model, where what lookup leaves open could still be worth a row.
        if (_asked.Length < nodes.Length)
        {
            _asked = new int[2 * nodes.Length];
        }

        int asked = 0;
        foreach (int node in nodes)
        {
            (double mass, double best) = tree.LookupOf(node);
            tree[node].LookupMass = (float)mass;
            if (tree[node].PathProbability * (1 - best) >= threshold)
            {
                _asked[asked++] = node;
            }
        }

        _model.Expand(tree, _asked.AsSpan(0, asked), threshold);

        // 3. Candidates the model passed over are worth less than lookup said.
        for (int i = 0; i < asked; i++)
        {
            tree.Settle(_asked[i]);
        }
    }

    /// <inheritdoc />
    public void Advance(DraftTree tree, ReadOnlySpan<int> path)
    {
        _lookup.Advance(tree, path);
        _model?.Advance(tree, path);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _lookup.Dispose();
        _model?.Dispose();
    }
}
