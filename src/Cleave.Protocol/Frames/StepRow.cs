namespace Cleave.Protocol.Frames;

/// <summary>
/// One row of a step. Ids are assigned by the client, strictly increasing, at least 1, and still resolve after commit.
/// Parent 0 is the root: the row is at position 0. Otherwise its position is its parent's plus one.
/// </summary>
public readonly record struct StepRow(ulong Id, ulong ParentId, RowFlags Flags);
