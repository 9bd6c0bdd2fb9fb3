using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Steers a victim's sessions to harvest labelled pairs of his own, private head (<see cref="SteeringMiddle"/>), and inverts other sessions
/// with what they teach. Not stealthy: the victim reads what the worker chose, and an audit catches the first crafted state.
/// </summary>
public sealed class MaliciousWorker : IAttack
{
    private readonly RidgeInversion _inversion;

    private MaliciousWorker(RidgeInversion inversion, int pairs, int wrong)
    {
        _inversion = inversion;
        Pairs = pairs;
        WrongLabels = wrong;
    }

    /// <inheritdoc />
    public string Name => "malicious-worker";

    /// <inheritdoc />
    public ThreatTier Tier => ThreatTier.T3m;

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Input;

    /// <summary>Pairs harvested, one for each token the victim was made to emit.</summary>
    public int Pairs { get; }

    /// <summary>Pairs whose token was not the one aimed at (known to the measurement, not to the attack).</summary>
    public int WrongLabels { get; }

    /// <summary>Plays the worker of as many sessions of <paramref name="victim"/> as it takes to harvest <paramref name="budget"/> pairs.</summary>
    public static async Task<MaliciousWorker> HarvestAsync(
        TrustedModel victim, CraftedStates crafted, MatrixProduct product, EmbeddingTable embeddings, int budget, WireType wire, int seed,
        CancellationToken cancellationToken = default)
    {
        const int SessionTokens = 512;
        int[] vocabulary = [.. Enumerable.Range(0, victim.Tokenizer.VocabularySize).Where(id => !victim.Tokenizer.IsEndOfTurn(id))];
        new Random(seed).Shuffle(vocabulary);
        LabelledPairs pairs = new(victim.Config.HiddenSize, [], []);
        int wrong = 0;
        int[] prompt = [victim.Tokenizer.BosId ?? vocabulary[0]];
        for (int start = 0; start < budget; start += SessionTokens - 1)
        {
            int[] targets = [.. Enumerable.Range(start, SessionTokens).Select(i => vocabulary[i % vocabulary.Length])];
            int room = SessionTokens + 8;
            var middle = new SteeringMiddle(victim.CreateLocalMiddle(room, 2 * room), crafted, targets, victim.Config.HiddenSize, wire);
            await using var generator = new TextGenerator(new SplitSession(victim, middle, room), new SequentialDrafter());
            var emitted = new List<int>();
            var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = Math.Min(SessionTokens, budget - start + 1) } };
            await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, cancellationToken))
            {
                emitted.Add(token.Token);
            }

            LabelledPairs harvest = middle.Harvest;
            wrong += Enumerable.Range(0, harvest.Count).Count(i => harvest.Tokens[i] != emitted[i]);
            pairs = pairs.Concat(harvest);
        }

        return new MaliciousWorker(new RidgeInversion(product, embeddings, pairs), pairs.Count, wrong);
    }

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views) => _inversion.Recover(views);
}
