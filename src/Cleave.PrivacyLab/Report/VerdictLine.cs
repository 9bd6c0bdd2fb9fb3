using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Report;

/// <summary>The one line about a split. It says what an operator of the worker can do, worst first, and promises nothing.</summary>
public static class VerdictLine
{
    /// <summary>Nothing is sent.</summary>
    public const string Local = "privacy: nothing left this machine";

    /// <summary>Public weights, whatever the cut.</summary>
    public const string PublicWeights =
        "privacy: with these weights public, the operator of the worker can reconstruct this conversation; only activations were sent, and that does not prevent it";

    /// <summary>Noise at the embedding.</summary>
    public static string Noised(double epsilonPerToken, double epsilonComposed) => FormattableString.Invariant(
        $"privacy: embedding noise with epsilon {epsilonPerToken:G3} per token and {epsilonComposed:G3} for all that was sent; at such figures the operator of the worker can still learn much of this conversation, and the text suffers (cleave privacy measures both)");

    /// <summary>Head and tail tuned in private, on the user's word.</summary>
    public static string PrivateEnds(RateInterval prompt) =>
        $"privacy: with head and tail private, as you say, the best attack measured here named {prompt} of prompt tokens; it needs no weights, only use of the service, and better attacks may exist";
}
