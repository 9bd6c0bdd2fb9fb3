using System.Security.Cryptography;

namespace Cleave.Compute.Gpu;

/// <summary>The hash of every source file that decides result bits on a GPU; part of the fingerprint and of the contract log.</summary>
public static class KernelSource
{
    private const string Prefix = "kernels/";

    /// <summary>Sixteen hexadecimal digits of SHA-256 over the kernel sources, in name order, line ends normalised.</summary>
    public static string Hash { get; } = Compute();

    private static string Compute()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var assembly = typeof(KernelSource).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(name + "\n" + reader.ReadToEnd().ReplaceLineEndings("\n")));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }
}
