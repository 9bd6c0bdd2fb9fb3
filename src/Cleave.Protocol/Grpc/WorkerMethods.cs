using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Grpc.Core;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// The worker's gRPC service, code first: messages are the frames' own bytes, no protobuf. Each end parses what it
/// receives itself (<see cref="FrameCodec"/>), so received messages stay bytes here.
/// </summary>
public static class WorkerMethods
{
    /// <summary>gRPC service name; the frame version inside is negotiated by the open frame.</summary>
    public const string ServiceName = "cleave.Worker";

    /// <summary>Metadata key of the token; the value is <see cref="TokenScheme"/> and the token.</summary>
    public const string TokenKey = "authorization";

    /// <summary>What precedes the token.</summary>
    public const string TokenScheme = "Bearer ";

    /// <summary>What precedes a hop ticket, shown by another worker.</summary>
    public const string HopScheme = "Hop ";

    /// <summary>
    /// Metadata key of the right to carry the connection on (<see cref="Migration.MigrationKey"/>): a client asks for it by any value, with Describe; the
    /// worker's answer is the secret.
    /// </summary>
    public const string MigrationKey = "cleave-migration";

    /// <summary>HTTP/2 flow-control window of a stream in bytes: at 80 ms a default window stalls a step of 64 rows.</summary>
    public const int StreamWindowBytes = 8 << 20;

    /// <summary>HTTP/2 flow-control window of a connection in bytes.</summary>
    public const int ConnectionWindowBytes = 16 << 20;

    /// <summary>
    /// Bytes of unanswered frames that may go out behind a resume's open frame before it is answered: what a new HTTP/2 connection takes before
    /// its first window is there.
    /// </summary>
    public const int AheadBytes = 60_000;

    /// <summary>The same on a connection whose windows are there. More would cost a link that did not lose them more than a round trip.</summary>
    public const int WarmAheadBytes = 256 << 10;

    private static readonly Marshaller<byte[]> s_bytes = new(
        static (bytes, context) => context.Complete(bytes),
        static context => context.PayloadAsNewBuffer());

    private static readonly Marshaller<ClientFrame> s_clientFrame = new(
        static (frame, context) =>
        {
            context.SetPayloadLength(FrameCodec.Size(frame));
            FrameCodec.Write(frame, context.GetBufferWriter());
            context.Complete();
        },
        static _ => throw new NotSupportedException("Client frames are received as bytes."));

    private static readonly Marshaller<WorkerFrame> s_workerFrame = new(
        static (frame, context) =>
        {
            context.SetPayloadLength(FrameCodec.Size(frame));
            FrameCodec.Write(frame, context.GetBufferWriter());
            context.Complete();
        },
        static _ => throw new NotSupportedException("Worker frames are received as bytes."));

    /// <summary>Describe: an empty message for <see cref="DescriptionCodec"/>'s JSON. Both ends.</summary>
    public static Method<byte[], byte[]> Describe { get; } = new(MethodType.Unary, ServiceName, "Describe", s_bytes, s_bytes);

    /// <summary>Session as the client calls it: frames out, bytes in.</summary>
    public static Method<ClientFrame, byte[]> ClientSession { get; } = new(MethodType.DuplexStreaming, ServiceName, "Session", s_clientFrame, s_bytes);

    /// <summary>Session as the worker serves it: bytes in, frames out.</summary>
    public static Method<byte[], WorkerFrame> WorkerSession { get; } = new(MethodType.DuplexStreaming, ServiceName, "Session", s_bytes, s_workerFrame);
}
