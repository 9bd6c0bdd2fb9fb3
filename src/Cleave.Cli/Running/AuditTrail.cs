using System.Security.Cryptography;
using Cleave.Inference;
using Cleave.Inference.Audit;
using Cleave.Inference.Sessions;
using Cleave.Protocol;

namespace Cleave.Cli.Running;

/// <summary>
/// The deferred audit of a run: both boundary tensors of its conversation are kept, and with some probability replayed when it has ended.
/// The worker cannot tell whether it will be: the draw is made afterwards, from a cryptographic source.
/// </summary>
/// <param name="model">The trusted side, whose file holds the middle layers too.</param>
/// <param name="wire">Encoding of activations.</param>
/// <param name="share">Probability of an audit.</param>
internal sealed class AuditTrail(TrustedModel model, WireType wire, double share)
{
    private AuditLog? _log;
    private string _fingerprint = "";
    private WireCuts? _cuts;

    /// <summary>Notes what crosses <paramref name="middle"/>'s boundary; does nothing when there is no audit to come.</summary>
    public IMiddle Follow(IMiddle middle)
    {
        if (share <= 0)
        {
            return middle;
        }

        _log = new AuditLog(wire, model.Config.HiddenSize);
        _fingerprint = middle.KernelFingerprint;
        _cuts = new WireCuts(wire, middle.WireCuts);
        return new AuditedMiddle(middle, _log);
    }

    /// <summary>Draws, and replays if drawn. Null when nothing was noted; a report that failed is the worker's fault or its machine's.</summary>
    public async Task<(bool Drawn, AuditReport? Report)> SettleAsync(CancellationToken cancellationToken)
    {
        if (_log is not { Steps: > 0 } log || RandomNumberGenerator.GetInt32(1 << 30) >= share * (1 << 30))
        {
            return (false, null);
        }

        // 64 more: drafts of the last steps.
        int room = log.Rows + 64;
        await using IMiddle reference = model.CreateLocalMiddle(room, room, cuts: _cuts);
        return (true, await WorkerAudit.ReplayAsync(reference, log, _fingerprint, cancellationToken: cancellationToken));
    }
}
