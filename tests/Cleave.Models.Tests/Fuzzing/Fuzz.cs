using System.Globalization;

namespace Cleave.Fuzzing;

/// <summary>
/// Reads changed copies of a corpus. A reader may refuse with the exception it promises and do nothing else, and its memory stays in
/// proportion to the file. By default each reader gets the same 20,000 copies every time; CLEAVE_FUZZ_ITERATIONS asks for so many others.
/// </summary>
internal static class Fuzz
{
    private const int DefaultIterations = 20_000;

    // What a reader may allocate: a fixed part, and so many bytes for each of the file.
    private const long FixedBytes = 16 << 20;
    private const long BytesPerByte = 512;

    private static readonly long? s_asked =
        long.TryParse(Environment.GetEnvironmentVariable("CLEAVE_FUZZ_ITERATIONS"), NumberStyles.None, CultureInfo.InvariantCulture, out long given) ? given : null;

    /// <summary>Copies each reader gets.</summary>
    public static long Iterations => s_asked ?? DefaultIterations;

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
        void Try((int Seed, int Other, Mutation[] Mutations) test)
        {
            if (Accepts<TRefusal>(read, Mutation.Apply(corpus[test.Seed].Bytes, corpus[test.Other].Bytes, test.Mutations)))
            {
                Interlocked.Increment(ref accepted);
            }
        }

        Gen<(int, int, Mutation[])> copies = Gen.Select(Gen.Int[0, corpus.Length - 1], Gen.Int[0, corpus.Length - 1], Mutation.Several);
        if (s_asked is not null)
        {
            copies.Sample(Try, iter: Iterations, print: Describe);
            return accepted;
        }

        var numbers = new PCG(1, 20_000);
        for (int i = 0; i < DefaultIterations; i++)
        {
            (int, int, Mutation[]) test = copies.Generate(numbers, null, out _);
            try
            {
                Try(test);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"copy {i}, {Describe(test)}: {e.Message}", e);
            }
        }

        return accepted;
    }

    private static string Describe((int Seed, int Other, Mutation[] Mutations) test) =>
        $"corpus file {test.Seed} with {test.Other}: {string.Join(", ", test.Mutations)}";

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
