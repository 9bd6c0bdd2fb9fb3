using Cleave.Models.Storage;

namespace Cleave.Models.Tests.Storage;

/// <summary>Weights ask for huge pages where the operating system has them, and hold what they held.</summary>
public sealed unsafe class HugePageTests
{
    /// <summary>The kernel's word for "may lie in huge pages" among a mapping's flags (proc_pid_smaps(5)).</summary>
    private const string Advised = "hg";

    private static readonly bool s_offered = Directory.Exists("/sys/kernel/mm/transparent_hugepage");

    [Fact]
    public void AMappedModelAsksForThem()
    {
        MappedFile file = MappedFile.Open(Repository.Demo);
        Assert.Equal("GGUF"u8, file.Bytes(0, 4));
        Assert.Equal(s_offered, FlagsAt((nuint)file.At(0, 1)).Contains(Advised));
        GC.KeepAlive(file);
    }

    [Fact]
    public void SoDoesALargeTensorOfItsOwnAndASmallOneDoesNot()
    {
        var large = new NativeBlock(8 << 20);
        var small = new NativeBlock(4096);
        large.Pointer[(8 << 20) - 1] = 7;
        small.Pointer[4095] = 7;
        Assert.Equal(s_offered, FlagsAt((nuint)large.Pointer).Contains(Advised));
        Assert.DoesNotContain(Advised, FlagsAt((nuint)small.Pointer));
        large.Free();
        small.Free();
    }

    private static string[] FlagsAt(nuint address)
    {
        bool inside = false;
        foreach (string line in s_offered ? File.ReadLines("/proc/self/smaps") : [])
        {
            // A mapping starts with "from-to permissions ...", hexadecimal.
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0].Split('-') is [string from, string to] && nuint.TryParse(from, System.Globalization.NumberStyles.HexNumber, null, out nuint start))
            {
                inside = address >= start && address < nuint.Parse(to, System.Globalization.NumberStyles.HexNumber);
            }
            else if (inside && words[0] == "VmFlags:")
            {
                return words[1..];
            }
        }

        return [];
    }
}
