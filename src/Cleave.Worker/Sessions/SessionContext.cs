using Cleave.Protocol.Codec;
using Cleave.Worker.Scheduling;

namespace Cleave.Worker.Sessions;

/// <summary>What all sessions of a worker share.</summary>
internal sealed record SessionContext(ServingLimits Limits, ServingShape Shape, ByteBudget Bytes, TimeProvider Time);

/// <summary>Limits as they come out for a model's width.</summary>
internal sealed record ServingShape(int HiddenSize, int MaxRowsPerStep, int MaxFrameBytes, int MaxFramesInFlight, int MaxKvTokensPerSession)
{
    // A step may keep as many ids as it has rows in flight; this many are always allowed for.
    private const int KeptIds = 4096;

    public static ServingShape For(ServingLimits limits, WorkerModel model)
    {
        int hiddenSize = model.Config.HiddenSize;
        long rowBytes = FrameCodec.StepRowBytes + (4L * hiddenSize);
        long room = limits.MaxFrameBytes - FrameCodec.StepHeaderBytes - (8L * KeptIds);
        int rows = (int)Math.Clamp(room / rowBytes, 1, limits.MaxRowsPerStep);
        long frameBytes = FrameCodec.StepHeaderBytes + (8L * KeptIds) + (rows * rowBytes);
        int inFlight = (int)Math.Clamp(limits.MaxBufferedBytesPerSession / (2 * frameBytes), Math.Min(2, limits.MaxFramesInFlight), limits.MaxFramesInFlight);
        int context = model.Config.ContextLength;
        int kvTokens = Math.Min(limits.MaxKvTokensPerSession == 0 ? context : limits.MaxKvTokensPerSession, model.Pool.Capacity);
        return new ServingShape(hiddenSize, rows, checked((int)frameBytes), inFlight, kvTokens);
    }
}
