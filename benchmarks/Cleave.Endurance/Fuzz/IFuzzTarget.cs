namespace Cleave.Endurance.Fuzz;

/// <summary>Something that reads hostile bytes.</summary>
internal interface IFuzzTarget : IAsyncDisposable
{
    /// <summary>Its name on the command line and in the corpus.</summary>
    string Name { get; }

    /// <summary>Valid inputs to start from.</summary>
    IEnumerable<byte[]> Seeds();

    /// <summary>Any bytes at all. What is thrown is a finding.</summary>
    void Run(ReadOnlySpan<byte> input);
}
