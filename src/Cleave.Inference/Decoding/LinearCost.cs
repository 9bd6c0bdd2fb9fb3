namespace Cleave.Inference.Decoding;

/// <summary>Online estimate of a cost base + rows * row, in milliseconds: least squares that forgets.</summary>
public sealed class LinearCost
{
    private const double Forgetting = 0.97;
    private double _weight;
    private double _meanRows;
    private double _meanMs;
    private double _varianceRows;
    private double _covariance;

    /// <param name="baseMs">First guess without rows.</param>
    /// <param name="rowMs">First guess of one row.</param>
    /// <param name="farRows">The guess counts like two observations of one row and two of so many: the fewer, the sooner <paramref name="rowMs"/> gives way.</param>
    public LinearCost(double baseMs, double rowMs, int farRows = 33)
    {
        (BaseMs, RowMs) = (baseMs, rowMs);
        Learn(1, baseMs + rowMs, 2);
        Learn(farRows, baseMs + (farRows * rowMs), 2);
    }

    /// <summary>Cost without rows.</summary>
    public double BaseMs { get; private set; }

    /// <summary>Cost of one more row.</summary>
    public double RowMs { get; private set; }

    /// <summary>Observations so far.</summary>
    public int Observations { get; private set; }

    /// <summary>Predicted cost.</summary>
    public double Of(double rows) => BaseMs + (rows * RowMs);

    /// <summary>
    /// Learns from one measurement. A stall says nothing about rows, so what one may teach is bounded: a base three times as long as thought,
    /// rows of an eighth of the base each (a prompt over a thin link says so at once).
    /// </summary>
    public void Observe(double rows, double milliseconds)
    {
        Observations++;
        Learn(rows, Math.Clamp(milliseconds, 0, (3 * Of(rows)) + 0.5 + (rows * BaseMs / 8)), 1);
    }

    private void Learn(double rows, double milliseconds, double weight)
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
            RowMs = Math.Clamp(_covariance / _varianceRows, 0, _meanMs / Math.Max(1, _meanRows));
        }

        BaseMs = Math.Max(0, _meanMs - (_meanRows * RowMs));
    }
}
