using Cleave.PrivacyLab.Capture;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>
/// Tells a property of a session (which decoder, what kind of text, how long a prompt) from numbers that hold no activation: a small
/// perceptron over summary features, trained on sessions the attacker ran himself under the same defence.
/// </summary>
public sealed class SessionClassifier : IAttack
{
    private readonly Func<WorkerView, float[]> _features;
    private readonly FeatureClassifier _classifier;

    private SessionClassifier(string name, ThreatTier tier, Func<WorkerView, float[]> features, FeatureClassifier classifier)
    {
        Name = name;
        Tier = tier;
        _features = features;
        _classifier = classifier;
    }

    /// <inheritdoc />
    public string Name { get; }

    /// <inheritdoc />
    public ThreatTier Tier { get; }

    /// <inheritdoc />
    public BoundarySide Side => BoundarySide.Session;

    /// <summary>Learns from the network's view: sizes and times of frames.</summary>
    public static SessionClassifier OfTraffic(MatrixProduct product, IReadOnlyList<WorkerView> sessions, IReadOnlyList<int> labels, int classes, int seed) =>
        Train("traffic", ThreatTier.N, SessionFeatures.OfTraffic, product, sessions, labels, classes, seed);

    /// <summary>Learns from the worker's view of trees and commits.</summary>
    public static SessionClassifier OfShape(MatrixProduct product, IReadOnlyList<WorkerView> sessions, IReadOnlyList<int> labels, int classes, int seed) =>
        Train("tree-shape", ThreatTier.T0, SessionFeatures.OfShape, product, sessions, labels, classes, seed);

    /// <inheritdoc />
    public IReadOnlyList<AttackClaim> Recover(IReadOnlyList<WorkerView> views)
    {
        return [.. views.Select(view => new AttackClaim(0) { Label = _classifier.Classify(_features(view)) })];
    }

    private static SessionClassifier Train(
        string name, ThreatTier tier, Func<WorkerView, float[]> features, MatrixProduct product, IReadOnlyList<WorkerView> sessions,
        IReadOnlyList<int> labels, int classes, int seed)
    {
        return new SessionClassifier(name, tier, features, FeatureClassifier.Train(product, [.. sessions.Select(features)], labels, classes, seed));
    }
}
