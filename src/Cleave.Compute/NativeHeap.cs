using System.Runtime.InteropServices;

namespace Cleave.Compute;

/// <summary>
/// Keeps what glibc's malloc holds near what is in use. It takes up to eight arenas for every processor, and the native parts of a process (TLS,
/// the JIT) allocate from whatever thread they happen to run on: the most they ever needed comes to lie in every arena, one after the other, and
/// stays there, so that resident memory of a busy process creeps for as long as it runs. See mallopt(3), <c>M_ARENA_MAX</c>, and malloc_trim(3).
/// Elsewhere than on Linux with glibc nothing changes.
/// </summary>
public static class NativeHeap
{
    private const int ArenaMax = -8;
    private static readonly TimeSpan s_trimInterval = TimeSpan.FromMinutes(1);
    private static Timer? s_trimming;

    /// <summary>
    /// Allows two arenas, or as many as threads already have: to be called first thing in a process. <c>MALLOC_ARENA_MAX</c> in the environment, if set,
    /// decides instead, and so does glibc where the runtime has started so many threads (more than eight arenas) that it has settled the limit already.
    /// From then on free pages are given back every minute.
    /// </summary>
    public static void KeepSmall()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            if (Environment.GetEnvironmentVariable("MALLOC_ARENA_MAX") is not { Length: > 0 })
            {
                _ = MallOpt(ArenaMax, 2);
            }

            s_trimming ??= new Timer(static _ => Trim(), null, s_trimInterval, s_trimInterval);
        }
        catch (EntryPointNotFoundException)
        {
            // Another C library (musl), without arenas.
        }
    }

    /// <summary>Gives the pages of free blocks back to the operating system.</summary>
    internal static void Trim() => _ = MallocTrim(0);

    [DllImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallOpt(int parameter, int value);

    [DllImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallocTrim(nuint pad);
}
