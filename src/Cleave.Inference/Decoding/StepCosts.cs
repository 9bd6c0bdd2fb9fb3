namespace Cleave.Inference.Decoding;

/// <summary>
/// Online estimate of what a step costs: T = base + rows * row (milliseconds), by recursive least squares with forgetting, and
/// of the tokens it brings. The node rule follows: one more row is worth sending iff its path probability exceeds
/// (tokens / T) * row, the tokens the time it takes would have brought otherwise.
/// </summary>
public sealed class StepCosts
{
    private const double Forgetting = 0.97;
    private double _weight;
    private double _meanRows;
    private double _meanMs;
    private double _varianceRows;
    private double _covariance;

    /// <param name="baseMs">First guess of a one-row step, usually the measured round trip.</param>
    /// <param name="rowMs">First guess of one more row.</param>
    public StepCosts(double baseMs, double rowMs)
    {
        BaseMs = Math.Max(baseMs, 0.2);
        RowMs = rowMs;

        // The guess counts like a few steps of 1 and 33 rows.
        ObserveTime(1, BaseMs + RowMs, 2);
        ObserveTime(33, BaseMs + (33 * RowMs), 2);
    }

    /// <summary>Time of a step without rows.</summary>
    public double BaseMs { get; private set; }

    /// <summary>Time of one more row.</summary>
    public double RowMs { get; private set; }

    /// <summary>Tokens a step brings, recently.</summary>
    public double TokensPerStep { get; private set; } = 1.5;

    /// <summary>Path probability under which a node is not worth its row, for a step of about <paramref name="rows"/> rows.</summary>
    public double Threshold(int rows) => TokensPerStep / (BaseMs + (rows * RowMs)) * RowMs;

    /// <summary>Learns from a finished step.</summary>
    public void Observe(int rows, double milliseconds, int tokens)
    {
        // A stall says nothing about rows: bound what one step may teach.
        double expected = BaseMs + (rows * RowMs);
        ObserveTime(rows, Math.Min(milliseconds, 3 * expected), 1);
        TokensPerStep += 0.08 * (tokens - TokensPerStep);
    }

    private void ObserveTime(double rows, double milliseconds, double weight)
    {
        _weight = (_weight * Forgetting) + weight;
        double share = weight / _weight;
        double deltaRows = rows - _meanRows;
        double deltaMs = milliseconds - _meanMs;
        _meanRows += share * deltaRows;
        _meanMs += share * deltaMs;
        _varianceRows = (1 - share) * (_varianceRows + (share * deltaRows * deltaRows));
        _covariance = (1 - share) * (_covariance + (share * deltaRows * deltaMs));
        if (_varianceRows > 1)
        {
            RowMs = Math.Clamp(_covariance / _varianceRows, 0.01, 50);
        }

        BaseMs = Math.Max(0.05, _meanMs - (_meanRows * RowMs));
    }
}
