using System.Globalization;

namespace Cleave.Endurance.Load;

/// <summary>Memory and descriptors of one process over time, and whether they rise.</summary>
internal sealed class ResourceSamples
{
    private readonly List<(double Hours, double Mebibytes, int Descriptors)> _samples = [];

    /// <summary>Readings taken.</summary>
    public int Count => _samples.Count;

    /// <summary>Adds a reading.</summary>
    public void Add(TimeSpan at, long residentBytes, int descriptors) => _samples.Add((at.TotalHours, residentBytes / 1048576.0, descriptors));

    /// <summary>
    /// Least-squares slope of resident memory after the first third of the run (caches and pools fill up before), with a 95 % interval from
    /// the means of ten blocks: readings next to each other are not independent, means of minutes nearly are.
    /// </summary>
    public MemoryTrend Trend()
    {
        (double X, double Y)[] blocks = [.. _samples
            .Skip(_samples.Count / 3)
            .Index()
            .GroupBy(pair => pair.Index * 10 / Math.Max(1, _samples.Count - (_samples.Count / 3)))
            .Select(group => (group.Average(pair => pair.Item.Hours), group.Average(pair => pair.Item.Mebibytes)))];
        if (blocks.Length < 4)
        {
            return new MemoryTrend(0, 0, 0, 0);
        }

        double x = blocks.Average(block => block.X);
        double y = blocks.Average(block => block.Y);
        double sxx = blocks.Sum(block => (block.X - x) * (block.X - x));
        double slope = blocks.Sum(block => (block.X - x) * (block.Y - y)) / sxx;
        double residual = blocks.Sum(block => Math.Pow(block.Y - y - (slope * (block.X - x)), 2));

        // Student's t at 97.5 % for 8 degrees of freedom.
        double half = 2.306 * Math.Sqrt(residual / (blocks.Length - 2) / sxx);
        return new MemoryTrend(y, slope, slope - half, slope + half);
    }

    /// <summary>Most descriptors in the second quarter of the run, and in the last.</summary>
    public (int Early, int Late) Descriptors()
    {
        int quarter = Math.Max(1, _samples.Count / 4);
        return (_samples.Skip(quarter).Take(quarter).Select(sample => sample.Descriptors).DefaultIfEmpty().Max(), _samples.TakeLast(quarter).Max(sample => sample.Descriptors));
    }

    /// <summary>Lines of CSV, without a header.</summary>
    public IEnumerable<string> Lines(string process) => _samples.Select(sample => string.Create(
        CultureInfo.InvariantCulture, $"{process},{sample.Hours * 3600:F0},{sample.Mebibytes:F1},{sample.Descriptors}"));
}

/// <summary>Mean and slope of memory in the later two thirds of a run.</summary>
/// <param name="MeanMebibytes">Mean.</param>
/// <param name="MebibytesPerHour">Slope.</param>
/// <param name="Low">Lower end of its 95 % interval.</param>
/// <param name="High">Upper end.</param>
internal sealed record MemoryTrend(double MeanMebibytes, double MebibytesPerHour, double Low, double High);
