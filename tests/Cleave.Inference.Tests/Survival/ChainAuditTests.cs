using Cleave.Inference.Audit;
using Cleave.Inference.Sessions;
using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;

namespace Cleave.Inference.Tests.Survival;

/// <summary>The deferred audit of a chain: its workers together are one middle, rounded where a wire crosses it.</summary>
public sealed class ChainAuditTests
{
    [Theory]
    [InlineData(WireType.F32, true)]
    [InlineData(WireType.Q8, true)]
    [InlineData(WireType.Q8, false)]
    public async Task An_honest_chain_passes_bit_for_bit(WireType wire, bool forward)
    {
        await using var scene = new ChainScene { Wire = wire, Forward = forward };
        AuditReport report = await AuditAsync(scene);
        Assert.True(report.Passed, $"{report}");
        Assert.True(report.IsBitExact);
        Assert.Equal([5, 8], scene.Opened!.WireCuts);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(10)]
    public async Task The_smallest_change_by_any_worker_after_the_first_is_found(int end)
    {
        await using var scene = new ChainScene { Forward = true };
        scene.Between = (hop, link) => hop.LayerEnd == end ? new TamperingLink(link, seq: 3) : link;
        AuditReport report = await AuditAsync(scene);
        Assert.Equal(2, report.FirstAlteredStep);
    }

    private static async Task<AuditReport> AuditAsync(ChainScene scene)
    {
        scene.Log = new AuditLog(scene.Wire, scene.Model.Config.HiddenSize);
        await scene.RunAsync("suffix", [scene.Worker(2, 5), scene.Worker(5, 8), scene.Worker(8, 10)], null);
        await using IMiddle reference = scene.Model.CreateLocalMiddle(512, 512, cuts: new WireCuts(scene.Wire, scene.Opened!.WireCuts));
        return await WorkerAudit.ReplayAsync(reference, scene.Log, scene.Opened.KernelFingerprint, cancellationToken: TestContext.Current.CancellationToken);
    }

    /// <summary>Changes the lowest bit of one number in the answer to one step.</summary>
    private sealed class TamperingLink(ILink inner, ulong seq) : ILink
    {
        public string Name => inner.Name;

        public ValueTask<WorkerDescription> DescribeAsync(CancellationToken cancellationToken) => inner.DescribeAsync(cancellationToken);

        public async ValueTask<ILinkStream> OpenStreamAsync(CancellationToken cancellationToken) => new Stream(await inner.OpenStreamAsync(cancellationToken), seq);

        public ValueTask DisposeAsync() => inner.DisposeAsync();

        private sealed class Stream(ILinkStream inner, ulong seq) : ILinkStream
        {
            public long BytesSent => inner.BytesSent;

            public long BytesReceived => inner.BytesReceived;

            public ValueTask SendAsync(ClientFrame frame, CancellationToken cancellationToken) => inner.SendAsync(frame, cancellationToken);

            public async ValueTask<WorkerFrame?> ReceiveAsync(CancellationToken cancellationToken)
            {
                WorkerFrame? frame = await inner.ReceiveAsync(cancellationToken);
                if (frame is not RowsFrame { Payload.Length: > 0 } rows || rows.Seq != seq)
                {
                    return frame;
                }

                byte[] payload = rows.Payload.ToArray();
                payload[0] ^= 1;
                return rows with { Payload = payload };
            }

            public ValueTask DisposeAsync() => inner.DisposeAsync();
        }
    }
}
