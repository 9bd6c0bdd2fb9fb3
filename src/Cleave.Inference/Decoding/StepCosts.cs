using Cleave.Inference.Sessions;

namespace Cleave.Inference.Decoding;

/// <summary>
/// What a step costs, part by part, estimated online: each part is base + rows * row milliseconds. The node rule follows:
/// one more row is worth sending iff its path probability exceeds the tokens that the time it takes would have brought
/// otherwise (docs/decisions, "The node rule").
/// </summary>
public sealed class StepCosts
{
    private const double Forgetting = 0.93;

    /// <summary>Bandwidth taken for granted each way until rows have crossed the link, in Mbit/s.</summary>
    private const double FirstMbit = 100;

    private double _tokens;
    private double _milliseconds;

    /// <param name="rttMs">Measured round trip of an empty frame.</param>
    /// <param name="rowBytes">Bytes of a row on the wire, each way.</param>
    public StepCosts(double rttMs, int rowBytes)
    {
        // What a row costs on the link is unknown before rows have crossed it; the first frames of a few rows tell.
        Link = new LinearCost(rttMs, 2 * 8 * rowBytes / (1000 * FirstMbit), farRows: 9);

        // Before the first verdict: two tokens a step, counted like a few steps.
        _milliseconds = 4 * StepMs(8);
        _tokens = 8;
    }

    /// <summary>Head compute.</summary>
    public LinearCost Head { get; } = new(0.5, 0.1);

    /// <summary>The link both ways: base is the round trip, row the time of one row's bytes up and down.</summary>
    public LinearCost Link { get; }

    /// <summary>Worker compute.</summary>
    public LinearCost Worker { get; } = new(2, 0.4);

    /// <summary>Tail compute, per row walked.</summary>
    public LinearCost Tail { get; } = new(1, 0.15);

    /// <summary>Drafting, per node asked for its children.</summary>
    public LinearCost Draft { get; } = new(0.5, 0.1);

    /// <summary>Tokens a millisecond brings, recently.</summary>
    public double TokensPerMs => Math.Max(_tokens / Math.Max(_milliseconds, 1e-3), 1 / StepMs(1));

    /// <summary>Marginal time of one more row in a step.</summary>
    public double RowMs => Head.RowMs + Link.RowMs + Worker.RowMs;

    /// <summary>Path probability under which a node is not worth its row.</summary>
    public double Threshold => Math.Clamp(TokensPerMs * RowMs, 1e-4, 0.9);

    /// <summary>Predicted time of a step of <paramref name="rows"/> rows, drafting not counted.</summary>
    public double StepMs(int rows) => Head.Of(rows) + Link.Of(rows) + Worker.Of(rows) + Tail.Of(1);

    /// <summary>Learns from an answered step.</summary>
    public void Observe(in StepTiming step)
    {
        Head.Observe(step.Rows, step.HeadMs);
        Worker.Observe(step.Rows, step.WorkerMs);

        // Frames on the link before it delay a step; only one that had it almost to itself tells what the link costs.
        if (step.RowsAhead <= step.Rows)
        {
            Link.Observe(step.Rows, step.LinkMs + step.CodecMs);
        }
    }

    /// <summary>Learns from a verdict: tokens made certain, and the time since the verdict before.</summary>
    public void ObserveVerdict(int tokens, double milliseconds)
    {
        _tokens = (_tokens * Forgetting) + tokens;
        _milliseconds = (_milliseconds * Forgetting) + Math.Min(milliseconds, 4 * StepMs(32));
    }
}
