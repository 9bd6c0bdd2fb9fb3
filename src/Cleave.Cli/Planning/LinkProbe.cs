using System.Diagnostics;
using System.Net.Sockets;
using Cleave.Inference;
using Cleave.Inference.Sessions;
using Cleave.Protocol.Pairing;

namespace Cleave.Cli.Planning;

/// <summary>
/// A few seconds of measurement on the user's own link: TCP connects (the floor any route allows), pings, and steps of 1 to 64
/// rows. Nothing the model says is used.
/// </summary>
internal static class LinkProbe
{
    private static readonly int[] s_rows = [1, 2, 4, 8, 16, 32, 64];
    private const int Repeats = 4;

    /// <summary>Measures over an open session; <paramref name="link"/> null when the middle is on this machine.</summary>
    public static async Task<LinkMeasurement> MeasureAsync(TextGenerator generator, PairingLink? link, CancellationToken cancellationToken)
    {
        SplitSession session = generator.Session;
        double connectMs = link is null ? 0 : await ConnectMsAsync(link, cancellationToken);

        var pings = new double[24];
        for (int i = 0; i < pings.Length; i++)
        {
            pings[i] = await session.Middle.PingAsync(cancellationToken);
        }

        Array.Sort(pings);
        var steps = new List<StepSample>();
        for (int repeat = -1; repeat < Repeats; repeat++)
        {
            foreach (int rows in s_rows.Where(r => r <= session.Middle.MaxRowsPerStep))
            {
                StepSample sample = await StepAsync(session, rows, cancellationToken);
                if (repeat >= 0)
                {
                    steps.Add(sample); // the first round warms caches and code
                }
            }
        }

        return new LinkMeasurement(connectMs, pings[0], pings[pings.Length / 2], pings[(int)(pings.Length * 0.95)] - pings[pings.Length / 2], steps);
    }

    private static async Task<StepSample> StepAsync(SplitSession session, int rows, CancellationToken cancellationToken)
    {
        // A flat fan of rows under the root: the cost of a tree without the cost of a text.
        int[] tokens = [.. Enumerable.Range(10, rows)];
        ulong[] parents = [.. Enumerable.Repeat(session.LastCommittedId, rows)];
        SessionTimings before = session.Timings.Snapshot();
        long started = Stopwatch.GetTimestamp();
        ulong first = session.NextRowId;
        await session.SubmitAsync(tokens, parents, cancellationToken);
        await session.ReceiveAsync(cancellationToken);
        await session.EvaluateAsync(new[] { first }, cancellationToken);
        double milliseconds = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        SessionTimings spent = session.Timings.Since(before);
        await session.TruncateAsync(0, cancellationToken);
        return new StepSample(rows, milliseconds, spent.NetworkMs, spent.HeadMs, spent.MiddleMs, spent.TailMs);
    }

    private static async Task<double> ConnectMsAsync(PairingLink link, CancellationToken cancellationToken)
    {
        double best = double.PositiveInfinity;
        for (int i = 0; i < 4; i++)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            long started = Stopwatch.GetTimestamp();
            await socket.ConnectAsync(link.Host, link.Port, cancellationToken);
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        return best;
    }
}
