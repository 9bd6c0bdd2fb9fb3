namespace Cleave.Gateway.OpenAi;

/// <summary>The answer to /v1/models.</summary>
internal sealed record ModelList(string Object, IReadOnlyList<ModelEntry> Data);

/// <summary>A model served.</summary>
internal sealed record ModelEntry(string Id, string Object, long Created, string OwnedBy);
