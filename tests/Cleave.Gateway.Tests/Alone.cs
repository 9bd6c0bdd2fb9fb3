namespace Cleave.Gateway.Tests;

/// <summary>Tests that measure this process (its memory, its fairness): nothing else runs in it meanwhile.</summary>
[CollectionDefinition(DisableParallelization = true)]
public sealed class Alone;
