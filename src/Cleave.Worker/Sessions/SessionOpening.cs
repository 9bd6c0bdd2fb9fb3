using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker.Chaining;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Sessions;

/// <summary>What an open frame comes to: a new session, one resumed, one that another worker attaches to, or a refusal.</summary>
internal sealed class SessionOpening(
    WorkerModel model, SessionTable table, NextWorkers nextWorkers, ServingLimits limits, ServingShape shape, TimeProvider time, ILogger logger)
{
    /// <summary>The session an open frame asks for, not attached yet, or why not.</summary>
    public WireError? TryOpen(TenantAccount account, WorkerSession? hop, OpenFrame open, out WorkerSession? session)
    {
        session = null;
        if (!ProtocolVersion.TryNegotiate(open.Version, out ushort version, out WireError? tooOld))
        {
            return tooOld;
        }

        if (open.LayerStart != model.Stack.Range.Start || open.LayerEnd != model.Stack.Range.End)
        {
            return new WireError(WireErrorCode.UnsupportedLayers, $"Layers {open.LayerStart}..{open.LayerEnd} were asked for; this worker runs {model.Stack.Range}.", SessionSurvives: false);
        }

        if (open.Next is { } next && !nextWorkers.Allow(next))
        {
            return new WireError(
                WireErrorCode.NotForwarded, $"This worker's operator has not allowed rows to be passed on to {next.Address} (cleave-worker --next-allow {next.Address}).", SessionSurvives: false);
        }

        if (open.Resume is not { } ticket)
        {
            // Another worker attaches to what a client opened; it opens nothing.
            return hop is null ? table.TryOpen(account, version, open, out session) : table.Unknown;
        }

        WireError? unknown = hop is null ? table.TryResume(account, ticket, out session) : table.TryAttach(hop, ticket, out session);
        if (unknown is null && session!.WireType != open.WireType)
        {
            return new WireError(WireErrorCode.UnsupportedWireType, $"The session was opened with {session.WireType} and cannot be resumed with {open.WireType}.");
        }

        return unknown;
    }

    /// <summary>Connects a new session to the next worker of its chain; it is closed again when that fails.</summary>
    public async ValueTask<WireError?> ConnectAsync(WorkerSession session, NextHop next, int maxTokens, CancellationToken gone)
    {
        var layers = new LayerRange(model.Stack.Range.End, next.LayerEnd);
        var relay = new HopRelay(
            next, layers, nextWorkers.Connect(next, shape.MaxFrameBytes), ActivationCodec.RowBytes(session.WireType, shape.HiddenSize), limits, time, logger);
        WireError? refusal = new(WireErrorCode.NotForwarded, "The stream ended first.");
        try
        {
            refusal = await relay.StartAsync(session, maxTokens, lost => table.Close(session, lost), gone).ConfigureAwait(false);
            session.Next = relay;
            return refusal;
        }
        finally
        {
            if (refusal is not null)
            {
                table.Close(session, refusal, tellStream: false);
            }
            else if (session.IsClosed)
            {
                relay.End();
            }
        }
    }
}
