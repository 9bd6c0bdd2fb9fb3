namespace Cleave.Benchmarks.Report;

/// <summary>Two measurements in turn, so that whatever else the machine does falls on both: medians of each and of their ratios.</summary>
/// <param name="First">Median seconds of the first.</param>
/// <param name="Second">Median seconds of the second.</param>
/// <param name="SecondOverFirst">Median of second over first, pair by pair: how many times as fast the first is.</param>
internal sealed record Pairs(double First, double Second, double SecondOverFirst)
{
    /// <summary>Runs both <paramref name="count"/> times after one that does not count. Each returns its seconds.</summary>
    public static Pairs Run(int count, Func<double> first, Func<double> second)
    {
        first();
        second();
        var a = new double[count];
        var b = new double[count];
        for (int i = 0; i < count; i++)
        {
            a[i] = first();
            b[i] = second();
        }

        double[] ratios = [.. a.Zip(b, static (x, y) => y / x)];
        return new Pairs(Median(a), Median(b), Median(ratios));
    }

    /// <summary>Seconds an action takes.</summary>
    public static double Time(Action action)
    {
        double start = Timing.Now;
        action();
        return Timing.Now - start;
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }
}
