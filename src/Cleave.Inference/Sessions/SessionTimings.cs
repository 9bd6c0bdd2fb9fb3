namespace Cleave.Inference.Sessions;

/// <summary>Where a session's time went, in milliseconds, summed.</summary>
public sealed class SessionTimings
{
    /// <summary>Waiting for replies, less what the worker spent on them.</summary>
    public double NetworkMs { get; set; }

    /// <summary>Head compute.</summary>
    public double HeadMs { get; set; }

    /// <summary>Worker compute and queueing, as the worker reports it.</summary>
    public double MiddleMs { get; set; }

    /// <summary>Tail compute, LM head included.</summary>
    public double TailMs { get; set; }

    /// <summary>Drafting.</summary>
    public double DraftMs { get; set; }

    /// <summary>Encoding and decoding payloads.</summary>
    public double CodecMs { get; set; }

    /// <summary>A copy.</summary>
    public SessionTimings Snapshot() => (SessionTimings)MemberwiseClone();

    /// <summary>What was added since <paramref name="earlier"/>.</summary>
    public SessionTimings Since(SessionTimings earlier) => new()
    {
        NetworkMs = NetworkMs - earlier.NetworkMs,
        HeadMs = HeadMs - earlier.HeadMs,
        MiddleMs = MiddleMs - earlier.MiddleMs,
        TailMs = TailMs - earlier.TailMs,
        DraftMs = DraftMs - earlier.DraftMs,
        CodecMs = CodecMs - earlier.CodecMs,
    };
}
