using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Migration;
using Cleave.Protocol.Wan;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Hosting;

/// <summary>Connections carried on over another TCP connection, and those that would carry on what is not theirs. Over real TCP and TLS.</summary>
public sealed class ConnectionMigrationTests
{
    [Fact]
    public async Task An_idle_connection_goes_on_over_another_tcp_connection_again_and_again()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(quota: new TenantQuota { Connections = 1 });
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        for (int round = 0; round < 50; round++)
        {
            client.Lose();
            if (round % 2 == 0)
            {
                // As often before the worker has noticed.
                await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");
            }

            await client.MoveAsync();
            await client.GoesOnAsync();
            Assert.Equal((0, 1), (served.Server.KeptConnections, served.Server.MovableConnections));
        }

        Assert.Equal(0, served.Server.Strangers);
    }

    [Fact]
    public async Task A_connection_the_worker_holds_for_alive_is_taken_over()
    {
        // The client's side alone is gone, as after a change of its address: nothing tells the worker.
        await using ServedWorker served = await ServedWorker.StartAsync(quota: new TenantQuota { Connections = 1 });
        await using var silence = new SilentProxy(served.Server.Port);
        await using MigratingClient client = await MigratingClient.ConnectAsync(served, through: silence.Port);
        silence.Forget();
        client.Lose();
        await client.MoveAsync();
        await client.GoesOnAsync();
        Assert.Equal(0, served.Server.KeptConnections);
        await Eventually.Holds(() => silence.WorkerHasClosed, "the TCP connection left behind is closed");
    }

    [Fact]
    public async Task What_proves_nothing_changes_nothing()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        client.Lose();
        await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");
        byte[] right = await client.PreambleAsync();

        // One bit wrong, anywhere: the claim, or its proof.
        for (int i = 0; i < right.Length; i++)
        {
            byte[] wrong = [.. right];
            wrong[i] ^= (byte)(1 << (i % 8));
            await RefusedAsync(served, wrong);
        }

        // Another connection's key, and a move yet to come.
        client.Number++;
        await RefusedAsync(served, await client.PreambleAsync());
        client.Number--;
        var other = MigrationKey.Create();
        MigrationPreamble.TryRead(right, out MigrationPreamble claim);
        claim.Write(other, 1, right);
        await RefusedAsync(served, right);
        Assert.Equal(1, served.Server.KeptConnections);
        await client.MoveAsync();
        await client.GoesOnAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_kept_connection_of_a_tenant_whose_token_is_void_is_closed(bool renewed)
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        client.Lose();
        await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");
        TenantTable tenants = served.Worker.Tenants;
        tenants.Replace([
            .. tenants.Tenants.Where(static tenant => tenant.Name != "alice"),
            .. renewed ? (Tenant[])[new Tenant("alice", TenantTable.HashToken("renewed"), new TenantQuota(), default)] : [],
        ]);
        await RefusedAsync(served, await client.PreambleAsync());
        await Eventually.Holds(() => served.Server is { KeptConnections: 0, MovableConnections: 0 }, "it is closed");
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task What_was_shown_once_is_good_for_nothing()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        var shown = new List<byte[]>();
        for (int round = 0; round < 4; round++)
        {
            client.Lose();
            shown.Add(await client.MoveAsync());
            await client.GoesOnAsync();
            foreach (byte[] preamble in shown)
            {
                await RefusedAsync(served, preamble);
            }

            await client.GoesOnAsync();
        }

        // Nothing in them tells that they are of one connection.
        Assert.Equal(4, shown.Select(static preamble => Convert.ToHexString(preamble.AsSpan(4, MigrationKey.IdBytes))).Distinct().Count());
    }

    [Theory]
    [InlineData(100_000, 0)]
    [InlineData(0, 1)]
    [InlineData(0, 1L << 40)]
    [InlineData(1L << 40, 0)]
    [InlineData(-1L << 40, 0)]
    public async Task Claims_of_bytes_that_never_were_are_refused_though_proved(long received, long from)
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        client.Lose();
        await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");

        // The client has received no more than the worker sent, and has sent what that received.
        await RefusedAsync(served, await client.PreambleAsync(right => right with { Received = Math.Max(0, right.Received + received), From = from == 0 ? right.From : right.From + client.Sent + from }));
        await Eventually.Holds(() => served.Server is { KeptConnections: 0, MovableConnections: 0 }, "it is given up: its own client lies");
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Preambles_that_do_not_end_have_a_deadline_and_floods_keep_nobody_out()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { HandshakeTimeout = TimeSpan.FromSeconds(3), MaxUnauthenticatedConnections = 16 });
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        client.Lose();
        await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");
        byte[] right = await client.PreambleAsync();
        var random = new Random(11);
        var streams = new List<NetworkStream>();
        for (int i = 0; i < 300; i++)
        {
            byte[] bytes = i % 3 == 0 ? right[..random.Next(1, right.Length)] : [.. right[..4], .. RandomNumberGenerator.GetBytes(random.Next(0, 200))];
            try
            {
                NetworkStream stream = await served.ConnectAsync();
                streams.Add(stream);
                await stream.WriteAsync(bytes, TestContext.Current.CancellationToken);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                // Closed already, as one too many.
            }

            Assert.InRange(served.Server.Strangers, 0, 16);
        }

        Assert.Equal(1, served.Server.KeptConnections);
        await client.MoveAsync();
        await client.GoesOnAsync();
        await Eventually.Holds(() => served.Server.Strangers == 0, "those left over are closed");
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Kept_connections_expire()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { KeptConnectionTime = TimeSpan.FromSeconds(3) });
        await using MigratingClient client = await MigratingClient.ConnectAsync(served);
        client.Lose();
        await Eventually.Holds(() => served.Server.KeptConnections == 1, "it is kept");
        await Eventually.Holds(() => served.Server is { KeptConnections: 0, MovableConnections: 0 }, "no longer");
        await RefusedAsync(served, await client.PreambleAsync());
        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task A_kept_connection_that_ends_is_no_fault_of_the_worker()
    {
        using var faults = new Faults();
        await using (ServedWorker served = await ServedWorker.StartAsync(new ServingLimits { KeptConnectionTime = TimeSpan.FromMilliseconds(300) }, logging: faults))
        {
            // Lost with calls under way, whose answers nobody will take.
            var random = new Random(1);
            for (int i = 0; i < 40; i++)
            {
                await using MigratingClient client = await MigratingClient.ConnectAsync(served);
                Task[] calls = [.. Enumerable.Range(0, 8).Select(_ => client.DescribeAsync())];
                await Task.Delay(random.Next(3), TestContext.Current.CancellationToken);
                client.Lose();
                await Task.WhenAny(Task.WhenAll(calls), Task.Delay(10, TestContext.Current.CancellationToken));
            }

            await Eventually.Holds(() => served.Server is { KeptConnections: 0, MovableConnections: 0 }, "none is kept any more");
            await served.ServesTheNextClientAsync();
        }

        Assert.Empty(faults.Messages);
    }

    [Fact]
    public async Task Kept_connections_are_bounded_and_keep_no_client_out()
    {
        await using ServedWorker served = await ServedWorker.StartAsync(
            new ServingLimits { MaxKeptConnections = 5, MaxKeptConnectionsPerTenant = 3 }, new TenantQuota { Connections = 2 });
        var clients = new List<MigratingClient>();
        for (int i = 0; i < 12; i++)
        {
            // More than a tenant may have at once: those kept do not count.
            clients.Add(await MigratingClient.ConnectAsync(served, i < 8 ? served.Alice : served.Bob));
            clients[i].Lose();
            int expected = i < 8 ? Math.Min(i + 1, 3) : Math.Min(3 + i - 7, 5);
            await Eventually.Holds(() => served.Server.KeptConnections == expected && served.Server.MovableConnections == expected, $"{expected} are kept");
        }

        // The latest go on, of alice as many as she may have at once; the earliest were given up.
        await clients[^1].MoveAsync();
        await clients[^1].GoesOnAsync();
        await clients[7].MoveAsync();
        await clients[7].GoesOnAsync();
        await RefusedAsync(served, await clients[0].PreambleAsync());
        foreach (MigratingClient client in clients)
        {
            await client.DisposeAsync();
        }

        await served.ServesTheNextClientAsync();
    }

    [Fact]
    public async Task Who_does_not_ask_is_not_kept_and_a_connection_with_a_session_neither()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using WanEmulator front = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, served.Server.Port), new WanOptions());
        await using MigratingClient silent = await MigratingClient.ConnectAsync(served, asks: false);
        await using var link = new GrpcLink(served.Alice.At("127.0.0.1", front.ListenEndPoint.Port), new GrpcLinkOptions { KeepsReserve = false });
        await link.DescribeAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, served.Server.MovableConnections);
        await using TestClient session = await TestClient.OpenAsync(link);
        Assert.Equal(0, served.Server.MovableConnections);
        silent.Lose();
        front.CutNow(TimeSpan.Zero);

        // It is detached, and resumed over a connection made anew.
        await using TestClient resumed = await session.ResumeAsync(served.Link(), 0);
        await resumed.RunAsync(Steps.Make(served.Width, 1, [(1, 0)]));
        Assert.Equal((0, 0), (served.Server.KeptConnections, served.Server.MovableConnections));
    }

    [Fact]
    public async Task A_link_goes_on_as_if_nothing_had_happened()
    {
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using WanEmulator front = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, served.Server.Port), new WanOptions());
        await using var link = new GrpcLink(served.Alice.At("127.0.0.1", front.ListenEndPoint.Port), new GrpcLinkOptions { KeepsReserve = false });
        for (int round = 0; round < 20; round++)
        {
            await link.DescribeAsync(TestContext.Current.CancellationToken);
            front.CutNow(TimeSpan.Zero);
            if (round % 2 == 0)
            {
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }

        // The first and one for each loss: a call that was under way as its connection broke would have made more.
        await link.DescribeAsync(TestContext.Current.CancellationToken);
        Assert.Equal(21, front.ConnectionCount);
        Assert.Equal(1, served.Server.MovableConnections);
    }

    [Theory]
    [InlineData("", 3)]
    [InlineData(null, 1)]
    [InlineData("HTTP/1.1 400 Bad Request", 1)]
    public async Task Where_a_move_does_not_pass_a_connection_is_made_as_ever(string? answer, int tried)
    {
        // Closed as by a worker that knows nothing of it, or was started again. Where it is swallowed or answered by something else, it is tried once.
        await using ServedWorker served = await ServedWorker.StartAsync();
        await using var proxy = new TlsOnlyProxy(served.Server.Port, answer is null ? null : System.Text.Encoding.ASCII.GetBytes(answer));
        await using var link = new GrpcLink(
            served.Alice.At("127.0.0.1", proxy.Port), new GrpcLinkOptions { KeepsReserve = false, MigrationTimeout = TimeSpan.FromMilliseconds(400) });
        for (int round = 0; round < 4; round++)
        {
            int failed = 0;
            while (true)
            {
                try
                {
                    await link.DescribeAsync(TestContext.Current.CancellationToken);
                    break;
                }
                catch (WireException lost) when (lost.Error.Code == WireErrorCode.LinkLost && ++failed < 3)
                {
                    await Task.Delay(10, TestContext.Current.CancellationToken);
                }
            }

            if (round < 3)
            {
                proxy.Cut();
            }
        }

        Assert.Equal(tried, proxy.Others);
    }

    [Fact]
    public async Task A_worker_that_is_gone_is_named_at_once()
    {
        ServedWorker served = await ServedWorker.StartAsync();
        WanEmulator front = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, served.Server.Port), new WanOptions());
        await using var link = new GrpcLink(served.Alice.At("127.0.0.1", front.ListenEndPoint.Port), new GrpcLinkOptions { KeepsReserve = false, MigrationTimeout = TimeSpan.FromMinutes(1) });
        await link.DescribeAsync(TestContext.Current.CancellationToken);
        await front.DisposeAsync();
        WireException gone = await Assert.ThrowsAsync<WireException>(async () => await link.DescribeAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Contains(gone.Error.Code, new[] { WireErrorCode.Unreachable, WireErrorCode.LinkLost });
        await served.DisposeAsync();
    }

    private static async Task RefusedAsync(ServedWorker served, byte[] preamble)
    {
        await using NetworkStream stream = await served.ConnectAsync();
        try
        {
            await stream.WriteAsync(preamble, TestContext.Current.CancellationToken);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));

            // Closed; or, where its first bytes are no preamble's, refused by TLS in its own words.
            byte[] answer = new byte[64];
            int count = await stream.ReadAsync(answer, patience.Token);
            Assert.True(count == 0 || answer[0] == 21, $"{count} bytes, the first of them {answer[0]}");
        }
        catch (IOException)
        {
            // Reset.
        }
    }
}
