namespace Cleave.Cli.Running;

/// <summary>What may be said of a run's privacy in one line. The worst applicable threat tier leads (docs/THREAT-MODEL.md).</summary>
internal static class PrivacyVerdict
{
    /// <summary>Whoever holds the same weights as the trusted side can try every token until the activations match.</summary>
    public const string StockWeights =
        "privacy: with these weights public, the operator of the worker can reconstruct this conversation; only activations were sent, and that does not prevent it";

    /// <summary>Nothing left the machine.</summary>
    public const string Local = "privacy: nothing left this machine";

    /// <summary>The line for a run.</summary>
    public static string For(SplitHost host) => host.Cut is null ? Local : StockWeights;
}
