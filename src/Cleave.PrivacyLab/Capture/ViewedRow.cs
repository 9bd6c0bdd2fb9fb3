namespace Cleave.PrivacyLab.Capture;

/// <summary>What a worker knows of a row besides its activations.</summary>
/// <param name="Id">Row id.</param>
/// <param name="Parent">Index of the parent row in the view; -1 at the root.</param>
/// <param name="Position">Position in the sequence: the parent's plus one.</param>
/// <param name="Step">Index of the step that carried it.</param>
public readonly record struct ViewedRow(ulong Id, int Parent, int Position, int Step);
