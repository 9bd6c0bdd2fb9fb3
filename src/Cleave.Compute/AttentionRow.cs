namespace Cleave.Compute;

/// <summary>One row of an <see cref="AttentionPlan"/>.</summary>
/// <param name="Position">Position of the row in its sequence.</param>
/// <param name="Slot">Arena slot that receives the row's own key and value.</param>
/// <param name="TableOffset">Where its session's slot table starts in <see cref="AttentionPlan.Tables"/>.</param>
/// <param name="PrefixLength">Positions read through the table.</param>
/// <param name="TailOffset">Where its tail starts in <see cref="AttentionPlan.Tails"/>; it has Position + 1 - PrefixLength entries.</param>
public readonly record struct AttentionRow(int Position, int Slot, int TableOffset, int PrefixLength, int TailOffset);
