namespace Cleave.Engine;

/// <summary>Why a cache refused an operation. The cache is unchanged after any fault.</summary>
public enum CacheFault
{
    None,

    /// <summary>A row id is not greater than every earlier one.</summary>
    IdOutOfOrder,

    /// <summary>A parent id was never seen.</summary>
    UnknownParent,

    /// <summary>The session would hold more rows than it asked for.</summary>
    OverSessionLimit,

    /// <summary>A row's position is past the model's context.</summary>
    PastContext,

    /// <summary>The pool has no free slots.</summary>
    PoolExhausted,

    /// <summary>A kept id is not a live row.</summary>
    UnknownRow,

    /// <summary>Kept ids are not a chain that continues the committed rows.</summary>
    NotAChain,

    /// <summary>A truncation is longer than what is committed.</summary>
    BadLength,
}
