using System.Globalization;

namespace Cleave.Fuzzing;

/// <summary>
/// Reads changed copies of a corpus. A reader may refuse with the exception it promises and do nothing else, and its memory stays in
/// proportion to the file. CLEAVE_FUZZ_ITERATIONS sets how many copies each reader gets.
/// </summary>
internal static class Fuzz
{
    private const int DefaultIterations = 20_000;

    // What a reader may allocate: a fixed part, and so many bytes for each of the file.
    private const long FixedBytes = 16 << 20;
    private const long BytesPerByte = 512;

    public static long Iterations { get; } =
        long.TryParse(Environment.GetEnvironmentVariable("CLEAVE_FUZZ_ITERATIONS"), NumberStyles.None, CultureInfo.InvariantCulture, out long given) ? given : DefaultIterations;

    /// <summary>Files of a folder of the corpus.</summary>
    public static (string Name, byte[] Bytes)[] Corpus(string folder) =>
    [
        .. Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "corpus", folder)).Order(StringComparer.Ordinal).Select(static path => (Path.GetFileName(path), File.ReadAllBytes(path))),
    ];

    /// <summary>Runs the corpus itself, then changed copies.</summary>
    /// <typeparam name="TRefusal">What the reader promises to throw.</typeparam>
    /// <returns>Copies that were read without a refusal.</returns>
    public static long Run<TRefusal>(string folder, Action<byte[]> read)
        where TRefusal : Exception
    {
        (string Name, byte[] Bytes)[] corpus = Corpus(folder);
        Assert.NotEmpty(corpus);
        foreach ((string name, byte[] bytes) in corpus)
        {
            Assert.True(Accepts<TRefusal>(read, bytes) || name.StartsWith("found-", StringComparison.Ordinal), $"{name} is no valid file");
        }

        long accepted = 0;
        Gen.Select(Gen.Int[0, corpus.Length - 1], Gen.Int[0, corpus.Length - 1], Mutation.Several).Sample(
            (seed, other, mutations) =>
            {
                if (Accepts<TRefusal>(read, Mutation.Apply(corpus[seed].Bytes, corpus[other].Bytes, mutations)))
                {
                    Interlocked.Increment(ref accepted);
                }
            },
            iter: Iterations,
            print: static test => $"corpus file {test.Item1} with {test.Item2}: {string.Join(", ", test.Item3)}");
        return accepted;
    }

    private static bool Accepts<TRefusal>(Action<byte[]> read, byte[] bytes)
        where TRefusal : Exception
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        bool accepted;
        try
        {
            read(bytes);
            accepted = true;
        }
        catch (TRefusal refusal)
        {
            Assert.InRange(refusal.Message.Length, 10, 4000 + bytes.Length);
            accepted = false;
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated <= FixedBytes + (BytesPerByte * bytes.Length), $"{allocated} bytes of memory for a file of {bytes.Length}");
        return accepted;
    }
}
