namespace Cleave.Endurance.Fuzz;

/// <summary>A parser without state. Beside its own promises: it allocates in proportion to its input, whatever the input claims.</summary>
/// <param name="name">Its name.</param>
/// <param name="parse">Parses, and throws when a promise is broken.</param>
/// <param name="seeds">Valid inputs.</param>
internal sealed class ParserTarget(string name, FuzzAction parse, IEnumerable<byte[]> seeds) : IFuzzTarget
{
    private const int FixedBytes = 64 * 1024;
    private const int BytesPerByte = 128;

    public string Name => name;

    public IEnumerable<byte[]> Seeds() => seeds;

    public void Run(ReadOnlySpan<byte> input)
    {
        // Twice: what is allocated once for all (metadata of types, caches) is no answer to an input.
        long allowed = FixedBytes + ((long)BytesPerByte * input.Length);
        if (Allocated(input) > allowed && Allocated(input) is var taken && taken > allowed)
        {
            throw new InvalidOperationException($"{taken} bytes were allocated for an input of {input.Length}");
        }
    }

    private long Allocated(ReadOnlySpan<byte> input)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        parse(input);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>A parser under test.</summary>
internal delegate void FuzzAction(ReadOnlySpan<byte> input);
