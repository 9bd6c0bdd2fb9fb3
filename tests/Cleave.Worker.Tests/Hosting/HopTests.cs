using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Hosting;

/// <summary>A hop ticket lets another worker bring rows to one session, over real gRPC and TLS, and lets it do nothing else.</summary>
public sealed class HopTests
{
    private static readonly OpenFrame s_taking = TestClient.Open() with { TakesHop = true };

    [Fact]
    public async Task A_hop_brings_rows_to_its_session_and_takes_it_over()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        await using TestClient client = await OpenAsync(link, s_taking);
        await using GrpcLink hop = GrpcLink.To(Hop(served, client.Opened));
        await using TestClient other = await TestClient.StartAsync(hop, Resume(Hop(served, client.Opened)));
        Assert.IsType<OpenedFrame>(await other.ReceiveAsync());
        Assert.Equal(WireErrorCode.TakenOver, (await client.ErrorAsync()).Code);
        Assert.Equal(Steps.Alone(served.Worker.Model, [1, 2]), (await other.RunAsync(Steps.Make(served.Width, 1, [(1, 0), (2, 1)])))[served.Width..]);

        // Nor may it be copied.
        await other.SendAsync(new ForkFrame(2, 1));
        Assert.Equal(WireErrorCode.NotForwarded, (await other.ErrorAsync()).Code);

        // The client keeps its own right to it.
        await using TestClient again = await TestClient.StartAsync(link, TestClient.Open(resume: new ResumeTicket(client.Opened.SessionId, client.Opened.Secret, 1)));
        Assert.Equal(1UL, Assert.IsType<OpenedFrame>(await again.ReceiveAsync()).ResumedSeq);
    }

    [Fact]
    public async Task A_hop_can_do_nothing_else()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        await using TestClient client = await OpenAsync(link, s_taking);
        await using TestClient neighbour = await OpenAsync(link, s_taking);
        NextHop mine = Hop(served, client.Opened);
        await using GrpcLink hop = GrpcLink.To(mine);

        // It learns nothing of the worker, opens nothing, and reaches no other session, though it knew that one's own ticket.
        await Assert.ThrowsAsync<WireException>(async () => await hop.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(hop, TestClient.Open())).Code);
        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(hop, Resume(Hop(served, neighbour.Opened)))).Code);
        Assert.Equal(2, served.Worker.Endpoint.Sessions);

        // The resume secret is none of a hop's, nor the hop's one of a client's.
        foreach (ReadOnlyMemory<byte> wrong in new[] { client.Opened.Secret, new byte[16] })
        {
            await using GrpcLink refused = GrpcLink.To(mine with { Secret = wrong });
            Assert.Equal(WireErrorCode.Unauthorized, (await Assert.ThrowsAsync<WireException>(() => TestClient.RefusedAsync(refused, Resume(mine)))).Error.Code);
        }

        Assert.Equal(WireErrorCode.UnknownSession, (await TestClient.RefusedAsync(link, Resume(mine))).Code);

        // A session that was not opened for it takes none.
        await using TestClient plain = await TestClient.OpenAsync(link);
        await using GrpcLink uninvited = GrpcLink.To(Hop(served, plain.Opened));
        Assert.Equal(WireErrorCode.Unauthorized, (await Assert.ThrowsAsync<WireException>(() => TestClient.RefusedAsync(uninvited, Resume(Hop(served, plain.Opened))))).Error.Code);
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task A_ticket_ends_with_its_session()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using GrpcLink link = served.Link();
        TestClient client = await OpenAsync(link, s_taking);
        NextHop hop = Hop(served, client.Opened);
        await client.SendAsync(new CloseFrame());
        Assert.Null(await client.ReceiveAsync());
        await using GrpcLink late = GrpcLink.To(hop);
        Assert.Equal(WireErrorCode.Unauthorized, (await Assert.ThrowsAsync<WireException>(() => TestClient.RefusedAsync(late, Resume(hop)))).Error.Code);
    }

    private static NextHop Hop(ServedWorker served, OpenedFrame opened) => new(
        served.Alice.Host, served.Alice.Port, served.Alice.Fingerprint, TestWorker.Layers.End, opened.SessionId,
        HopTicket.SecretOf(opened.Secret.Span, new Guid(opened.SessionId.Span)));

    private static OpenFrame Resume(NextHop hop) => TestClient.Open(resume: new ResumeTicket(hop.SessionId, hop.Secret, 0));

    private static async Task<TestClient> OpenAsync(ILink link, OpenFrame open)
    {
        TestClient client = await TestClient.StartAsync(link, open);
        await client.ReceiveOpenedAsync();
        return client;
    }
}
