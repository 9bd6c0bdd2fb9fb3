namespace Cleave.Inference.Audit;

/// <summary>What an audit found.</summary>
/// <param name="Steps">Steps replayed.</param>
/// <param name="Rows">Rows compared.</param>
/// <param name="IsBitExact">True when both sides' kernels have one fingerprint, so that any difference is an alteration.</param>
/// <param name="LargestError">Largest relative distance (L2) of a row from the replayed one.</param>
/// <param name="Tolerance">The largest that passes: 0 when bit-exact.</param>
/// <param name="FirstAlteredStep">First step with a row past it, from 0; null when all pass.</param>
public sealed record AuditReport(int Steps, int Rows, bool IsBitExact, double LargestError, double Tolerance, int? FirstAlteredStep)
{
    /// <summary>True when nothing was found.</summary>
    public bool Passed => FirstAlteredStep is null;

    /// <summary>One line.</summary>
    public override string ToString() => FirstAlteredStep is { } step
        ? FormattableString.Invariant($"audit: FAILED at step {step} of {Steps}: a returned state is {LargestError:G3} from what these layers give (tolerance {Tolerance:G2}); the worker did not compute this model, or its machine is faulty")
        : FormattableString.Invariant($"audit: {Steps} steps, {Rows} rows replayed, {(IsBitExact ? "bit for bit" : $"within {Tolerance:G2} (largest {LargestError:G3}; other kernels than ours)")}");
}
