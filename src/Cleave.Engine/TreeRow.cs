namespace Cleave.Engine;

/// <summary>
/// A row of a step: its id (strictly increasing, at least 1) and its parent's. Parent 0 is the root: position 0.
/// A row's position is its parent's plus one; it attends to its ancestors and itself, nothing else.
/// </summary>
public readonly record struct TreeRow(ulong Id, ulong ParentId);
