using System.Runtime.InteropServices;

namespace Cleave.Compute;

/// <summary>
/// Limits the arenas of glibc's malloc, which takes up to eight for every processor. The native parts of a process (TLS, the JIT) allocate from
/// whatever thread they happen to run on, so that the most each of them ever needed comes to lie in every arena, one after the other, and
/// stays there: resident memory of a busy process creeps for as long as it runs. See mallopt(3), <c>M_ARENA_MAX</c>.
/// Elsewhere than on Linux with glibc nothing changes.
/// </summary>
public static class MallocArenas
{
    private const int ArenaMax = -8;

    /// <summary>
    /// To be called first thing in a process: arenas that threads already have stay. <c>MALLOC_ARENA_MAX</c> in the environment, if set, is left to decide.
    /// </summary>
    public static void Limit()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable("MALLOC_ARENA_MAX") is { Length: > 0 })
        {
            return;
        }

        try
        {
            _ = MallOpt(ArenaMax, 2);
        }
        catch (EntryPointNotFoundException)
        {
            // Another C library (musl), with no arenas.
        }
    }

    [DllImport("libc", EntryPoint = "mallopt")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MallOpt(int parameter, int value);
}
