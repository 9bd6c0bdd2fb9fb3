using Cleave.PrivacyLab.Capture;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>Numbers that describe a session without its activations.</summary>
public static class SessionFeatures
{
    /// <summary>What the worker sees of the tree: rows, depth, branching and commits of each step.</summary>
    public static float[] OfShape(WorkerView view)
    {
        var rows = new List<double>();
        var kept = new List<double>();
        var depth = new List<double>();
        var leaves = new List<double>();
        bool[] isParent = new bool[view.Rows.Length];
        foreach (ViewedRow row in view.Rows)
        {
            if (row.Parent >= 0)
            {
                isParent[row.Parent] = true;
            }
        }

        foreach (ViewedStep step in view.Steps)
        {
            int deepest = 0;
            int ends = 0;
            for (int i = step.FirstRow; i < step.FirstRow + step.Rows; i++)
            {
                deepest = Math.Max(deepest, view.Rows[i].Position - view.Rows[step.FirstRow].Position);
                ends += isParent[i] ? 0 : 1;
            }

            rows.Add(step.Rows);
            kept.Add(step.Kept);
            depth.Add(deepest);
            leaves.Add(ends);
        }

        return [.. Summary(rows), .. Summary(kept), .. Summary(depth), .. Summary(leaves), view.Steps.Length, view.Rows.Length];
    }

    /// <summary>What the network sees: sizes both ways and the times between.</summary>
    public static float[] OfTraffic(WorkerView view)
    {
        var up = new List<double>();
        var down = new List<double>();
        var gaps = new List<double>();
        var replies = new List<double>();
        double before = 0;
        foreach (ViewedStep step in view.Steps)
        {
            up.Add(step.BytesUp);
            down.Add(step.BytesDown);
            gaps.Add(step.SentMs - before);
            replies.Add(step.AnsweredMs - step.SentMs);
            before = step.SentMs;
        }

        return
        [
            .. Summary(up), .. Summary(down), .. Summary(gaps), .. Summary(replies), view.Steps.Length,
            (float)up.Sum(), (float)down.Sum(), (float)up.DefaultIfEmpty().First(), (float)up.Skip(1).FirstOrDefault(), (float)up.Skip(2).FirstOrDefault(),
        ];
    }

    /// <summary>What the network sees, from the TLS records themselves.</summary>
    public static float[] OfTrace(TrafficTrace trace)
    {
        var sizes = (Up: new List<double>(), Down: new List<double>());
        var gaps = (Up: new List<double>(), Down: new List<double>());
        var last = (Up: 0.0, Down: 0.0);
        foreach (TrafficRecord record in trace.Records)
        {
            if (record.IsUp)
            {
                sizes.Up.Add(record.Bytes);
                gaps.Up.Add(record.AtMs - last.Up);
                last.Up = record.AtMs;
            }
            else
            {
                sizes.Down.Add(record.Bytes);
                gaps.Down.Add(record.AtMs - last.Down);
                last.Down = record.AtMs;
            }
        }

        const int First = 16;
        float[] features =
        [
            .. Summary(sizes.Up), .. Summary(sizes.Down), .. Summary(gaps.Up), .. Summary(gaps.Down), sizes.Up.Count, sizes.Down.Count,
            (float)sizes.Up.Sum(), (float)sizes.Down.Sum(), (float)Math.Max(last.Up, last.Down), .. Counts(sizes.Up), .. Counts(sizes.Down),
            .. Enumerable.Range(0, First).Select(i => i < sizes.Up.Count ? (float)sizes.Up[i] : 0),
            .. Enumerable.Range(0, First).Select(i => i < gaps.Up.Count ? (float)gaps.Up[i] : 0),
        ];

        // One row more or less matters as much beside one as ten do beside ten.
        return [.. features.Select(static value => MathF.Log(1 + Math.Max(0, value)))];
    }

    /// <summary>How many records are of each size class, each class twice as wide as the one before.</summary>
    private static IEnumerable<float> Counts(List<double> sizes)
    {
        const double Smallest = 128;
        const int Classes = 8;
        return Enumerable.Range(0, Classes).Select(c => (float)sizes.Count(s => Math.Clamp((int)Math.Log2(s / Smallest) + 1, 0, Classes - 1) == c));
    }

    private static float[] Summary(List<double> values)
    {
        if (values.Count == 0)
        {
            return new float[7];
        }

        double mean = values.Average();
        double deviation = Math.Sqrt(values.Average(v => (v - mean) * (v - mean)));
        double[] sorted = [.. values.Order()];
        return
        [
            (float)mean, (float)deviation, (float)sorted[0], (float)sorted[sorted.Length / 4], (float)sorted[sorted.Length / 2],
            (float)sorted[3 * sorted.Length / 4], (float)sorted[^1],
        ];
    }
}
