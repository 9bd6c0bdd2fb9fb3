namespace Cleave.Protocol;

/// <summary>How activations are encoded on the wire. Values are the wire's own byte.</summary>
public enum WireType : byte
{
    /// <summary>binary32: split equals unsplit bit for bit.</summary>
    F32 = 0,

    /// <summary>binary16.</summary>
    F16 = 1,

    /// <summary>bfloat16.</summary>
    BF16 = 2,

    /// <summary>Each row by itself: one binary32 scale, then a signed byte per number.</summary>
    Q8 = 3,
}
