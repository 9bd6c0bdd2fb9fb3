using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Cleave.Protocol.Wan;

/// <summary>
/// Waits of a few milliseconds that end within some tens of microseconds of their time without spinning. The runtime's own
/// sleeps are whole milliseconds, and a link emulator that is 1 ms late in each direction falsifies what it is for.
/// </summary>
internal static class PreciseWait
{
    private const int SetTimerSlack = 29;

    private static readonly bool HasNanosleep = OperatingSystem.IsLinux() || OperatingSystem.IsMacOS();

    /// <summary>Lets this thread's sleeps end on time: Linux otherwise groups wake-ups within 50 microseconds.</summary>
    public static void PrepareThread()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = Prctl(SetTimerSlack, 1, 0, 0, 0);
        }
    }

    /// <summary>Returns once <see cref="Stopwatch.GetTimestamp"/> has reached <paramref name="timestamp"/>.</summary>
    public static void Until(long timestamp)
    {
        while (true)
        {
            TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), timestamp);
            if (left <= TimeSpan.Zero)
            {
                return;
            }

            if (HasNanosleep)
            {
                // An early return (a signal) is caught by the loop.
                var request = new TimeSpec { Seconds = (nint)(left.Ticks / TimeSpan.TicksPerSecond), Nanoseconds = (nint)(left.Ticks % TimeSpan.TicksPerSecond * 100) };
                _ = Nanosleep(in request, 0);
            }
            else if (left > TimeSpan.FromMilliseconds(2))
            {
                Thread.Sleep(1);
            }
            else
            {
                Thread.SpinWait(50);
            }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }

    [DllImport("libc", EntryPoint = "nanosleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Nanosleep(in TimeSpec request, nint remaining);

    [DllImport("libc", EntryPoint = "prctl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Prctl(int operation, nuint argument2, nuint argument3, nuint argument4, nuint argument5);
}
