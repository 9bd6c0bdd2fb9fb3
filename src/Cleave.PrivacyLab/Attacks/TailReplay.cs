using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Models;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Reads the output: runs the (public) last layers and the LM head over the states the worker itself returned, as the trusted side does. The
/// same numbers say what a row's successor probably is, which serves <see cref="VocabularyMatching"/> as its language model at no cost.
/// </summary>
public sealed class TailReplay : IAttack, IDisposable
{
    private readonly LocalTail _tail;
    private readonly int _maxTokens;

    /// <param name="device">Where to run.</param>
    /// <param name="source">The public model file.</param>
    /// <param name="range">Layers of the tail attacked.</param>
    /// <param name="maxTokens">Most rows of a session.</param>
    public TailReplay(IComputeDevice device, IModelSource source, LayerRange range, int maxTokens)
    {
        _tail = new LocalTail(device, source, range, maxTokens);
        _maxTokens = maxTokens;
    }

    /// <inheritdoc />
    public string Name => "tail-replay";

    /// <inheritdoc />
    public ThreatTier Tier => ThreatTier.T3;

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Output;

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views)
    {
        var claims = new List<AttackClaim>(views.Count);
        foreach (WorkerView view in views)
        {
            var claim = new AttackClaim(view.Rows.Length);
            int[] best = Successors(view, AttackClaim.Ranks);
            for (int row = 0; row < view.Rows.Length; row++)
            {
                best.AsSpan(row * AttackClaim.Ranks, AttackClaim.Ranks).CopyTo(claim.Tokens(row));
            }

            claims.Add(claim);
        }

        return claims;
    }

    /// <summary>The likeliest tokens after each row: [rows, ranks].</summary>
    public int[] Successors(WorkerView view, int ranks)
    {
        using KvCache cache = _tail.CreateCache(_maxTokens);
        int vocabulary = _tail.VocabularySize;
        var best = new int[view.Rows.Length * ranks];
        foreach (ViewedStep step in view.Steps)
        {
            if (step.Rows == 0)
            {
                continue;
            }

            var rows = new TreeRow[step.Rows];
            var wanted = new int[step.Rows];
            for (int i = 0; i < rows.Length; i++)
            {
                ViewedRow row = view.Rows[step.FirstRow + i];
                rows[i] = new TreeRow(row.Id, row.Parent < 0 ? 0 : view.Rows[row.Parent].Id);
                wanted[i] = i;
            }

            var logits = new float[step.Rows * vocabulary];
            _tail.Run(cache, rows, view.AllLeaving.Slice(step.FirstRow * view.HiddenSize, step.Rows * view.HiddenSize), wanted, logits);
            for (int i = 0; i < rows.Length; i++)
            {
                BestFew.Find(logits.AsSpan(i * vocabulary, vocabulary), best.AsSpan((step.FirstRow + i) * ranks, ranks));
            }
        }

        return best;
    }

    /// <inheritdoc />
    public void Dispose() => _tail.Dispose();
}
