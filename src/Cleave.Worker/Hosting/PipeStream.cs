using System.Buffers;
using System.IO.Pipelines;
using Cleave.Protocol.Sockets;

namespace Cleave.Worker.Hosting;

/// <summary>A transport's two pipes as one stream. Whoever reads when it is given up is told by an <see cref="IOException"/>; what is written then is dropped, as by the pipes.</summary>
internal sealed class PipeStream(IDuplexPipe pipes) : DuplexStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ReadResult result = await pipes.Input.ReadAsync(cancellationToken).ConfigureAwait(false);
        ReadOnlySequence<byte> bytes = result.Buffer.Slice(0, Math.Min(buffer.Length, result.Buffer.Length));
        int count = (int)bytes.Length;
        bytes.CopyTo(buffer.Span);
        pipes.Input.AdvanceTo(bytes.End);
        return result.IsCanceled && count == 0 ? throw new IOException("The connection was given up.") : count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        await pipes.Output.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
}
