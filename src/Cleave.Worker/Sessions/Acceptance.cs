using Cleave.Protocol.Frames;

namespace Cleave.Worker.Sessions;

/// <summary>What became of a received frame: queued, answered at once, or (neither) silently known already.</summary>
internal readonly record struct Acceptance(PendingFrame? Queue, WorkerFrame? Answer);
