namespace Cleave.Inference.Tests.Devices;

/// <summary>Tests that count what the whole process holds, and so run beside no others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}
