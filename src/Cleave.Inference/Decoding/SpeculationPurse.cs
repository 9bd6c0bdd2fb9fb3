namespace Cleave.Inference.Decoding;

/// <summary>
/// What guessing may still cost in one generation, in milliseconds. The node rule spends rows where they are expected to pay; this bounds what
/// is lost where expectations are wrong (a text or a draft model unlike those seen before, a thin link): a guess is sent while the
/// time that guesses have saved so far, and a small share of all time, cover it. So a generation is slower than one token at a time
/// by <see cref="Share"/> and <see cref="Start"/> at most, as far as <see cref="StepCosts"/> knows the costs.
/// </summary>
internal sealed class SpeculationPurse(StepCosts costs)
{
    /// <summary>Put in at the start, in round trips.</summary>
    private const double Start = 0.12;

    /// <summary>Put in with every round trip, in round trips.</summary>
    private const double Share = 0.015;

    /// <summary>Most it holds, in round trips: a text that stops repeating itself is noticed.</summary>
    private const double Most = 12;

    private double _milliseconds = Start * costs.StepMs(1);
    private double _rows;
    private double _draftMs;

    /// <summary>True while <paramref name="milliseconds"/> may be spent.</summary>
    public bool Covers(double milliseconds) => milliseconds <= _milliseconds - SpentMs;

    /// <summary>Guessed rows it pays for, each at <paramref name="share"/> of its cost.</summary>
    public int Rows(double share) => (int)Math.Clamp((_milliseconds - SpentMs) / Math.Max(1e-6, share * costs.RowMs), 0, 4096);

    /// <summary>Pays for guessed rows and for drafting that something waited for.</summary>
    public void Pay(int rows, double share, double draftMs)
    {
        _rows += rows * share;
        _draftMs += draftMs;
    }

    /// <summary>Settles what was paid, at the costs known now, and takes in what the verdict saved.</summary>
    /// <param name="tokens">Tokens it made certain.</param>
    /// <param name="trips">Round trips something waited for in full since the verdict before.</param>
    /// <param name="elapsedMs">Time since the verdict before: what is waited for where no round trip is.</param>
    public void Settle(int tokens, int trips, double elapsedMs)
    {
        double stepMs = costs.StepMs(1);
        double waitedMs = trips > 0 ? trips * stepMs : Math.Min(elapsedMs, stepMs);
        _milliseconds = Math.Min(Most * stepMs, _milliseconds - SpentMs + (tokens * stepMs) - waitedMs + (Share * stepMs));
        (_rows, _draftMs) = (0, 0);
    }

    private double SpentMs => (_rows * costs.RowMs) + _draftMs;
}
