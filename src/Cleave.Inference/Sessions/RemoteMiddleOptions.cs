using Cleave.Models;
using Cleave.Protocol;

namespace Cleave.Inference.Sessions;

/// <summary>What a remote session asks for.</summary>
public sealed record RemoteMiddleOptions
{
    /// <summary>Layers the worker runs.</summary>
    public required LayerRange Range { get; init; }

    /// <summary>Encoding of activations both ways.</summary>
    public WireType WireType { get; init; } = WireType.F32;

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Most rows the session will hold.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>How long a lost link or worker is sought before the session gives up.</summary>
    public TimeSpan RecoveryTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A worker silent for this long on an unanswered step is taken for lost.</summary>
    public TimeSpan ReplyTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>
    /// A ticket not answered for this long is shown again over another connection: the one kept in reserve may be as dead as the one that was lost, and
    /// say so only much later.
    /// </summary>
    public TimeSpan ResumeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Told what happens to the session, or null.</summary>
    public Action<SessionEvent>? Events { get; init; }
}
