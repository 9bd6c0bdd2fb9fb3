namespace Cleave.PrivacyLab.Attacks;

/// <summary>Names the likeliest tokens of a state by itself: what exact matching tries first.</summary>
public interface ITokenProposer
{
    /// <summary>The likeliest tokens of activations [rows, hiddenSize], <paramref name="ranks"/> for each row; -1 where it has no more.</summary>
    int[] Propose(ReadOnlySpan<float> activations, int ranks);
}
