using System.Runtime.InteropServices;

namespace Cleave.Compute;

/// <summary>
/// Asks the operating system for pages of 2 MB under weights (Linux, madvise). A step reads all weights once, so every 4 KB page costs a
/// walk through the page tables, two of them nested in a virtual machine: measured there, reading from small pages loses 2 to 9 % where memory
/// is fast and up to 32 % where neighbours leave little of it.
/// A mapped file gets them where its file system keeps large folios (ext4 since Linux 6.16, XFS, Btrfs) and it was not yet in the page
/// cache in small ones; elsewhere nothing changes.
/// </summary>
public static unsafe class HugePages
{
    /// <summary>Bytes of a huge page, and the border that memory for them is best allocated on.</summary>
    public const int Size = 2 << 20;

    private const int AdviseHugePage = 14;

    /// <summary>Asks for huge pages under <paramref name="length"/> bytes at <paramref name="pointer"/>. Contents stay; a refusal changes nothing.</summary>
    public static void Advise(void* pointer, long length)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // Whole small pages inside the range.
        nint start = ((nint)pointer + Environment.SystemPageSize - 1) & -Environment.SystemPageSize;
        nint end = (nint)((nint)pointer + length) & -Environment.SystemPageSize;
        if (end - start >= Size)
        {
            _ = MAdvise(start, (nuint)(end - start), AdviseHugePage);
        }
    }

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MAdvise(nint address, nuint length, int advice);
}
