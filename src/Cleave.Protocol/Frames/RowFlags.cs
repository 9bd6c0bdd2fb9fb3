namespace Cleave.Protocol.Frames;

/// <summary>What the worker does with a row besides running it.</summary>
[Flags]
public enum RowFlags : byte
{
    None = 0,

    /// <summary>Its output hidden state comes back.</summary>
    Return = 1,

    /// <summary>Reserved for feature drafting: an inner layer's state comes back as well.</summary>
    Tap = 2,

    /// <summary>Padding of fixed-shape mode: computed and forgotten. Such rows end a step.</summary>
    Dummy = 4,
}
