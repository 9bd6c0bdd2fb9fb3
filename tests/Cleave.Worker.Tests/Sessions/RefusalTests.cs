using Cleave.Protocol;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Links;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Sessions;

/// <summary>Frames that must be refused, by name; the session goes on as if they had never been sent.</summary>
public sealed class RefusalTests
{
    public static TheoryData<string, Func<int, ClientFrame>, WireErrorCode, string> Refused => new()
    {
        { "seq skipped", w => Steps.Make(w, 4, [(10, 3)]), WireErrorCode.OutOfOrder, "4 came when 3 was next" },
        { "ack of a reply never made", w => Steps.Make(w, 9, [(10, 3)], ack: 8), WireErrorCode.OutOfOrder, "acknowledges reply 8" },
        { "parent never sent", w => Steps.Make(w, 3, [(10, 9)]), WireErrorCode.UnknownParent, "parent 9" },
        { "id used before", w => Steps.Make(w, 3, [(3, 2)]), WireErrorCode.OutOfOrder, "ids up to 5 were used" },
        { "kept id that is dead", w => Steps.Make(w, 3, [(10, 3)], keep: [2]), WireErrorCode.UnknownRow, "Kept id 0" },
        { "kept ids that are no chain", w => Steps.Make(w, 3, [(10, 3)], keep: [4, 5]), WireErrorCode.UnknownRow, "Kept id 1" },
        { "payload too short", w => Steps.Make(w, 3, [(10, 3)]) with { Payload = new byte[4] }, WireErrorCode.Malformed, "payload of 4 bytes" },
        { "payload of another wire type", w => Steps.Make(w, 3, [(10, 3)], type: WireType.F16), WireErrorCode.Malformed, "F32 rows" },
        { "a number that is not finite", w => Steps.Make(w, 3, [(10, 3), (11, 10)]) with { Payload = NotFinite(w) }, WireErrorCode.NotFinite, "Row 1 " },
        { "too many rows", w => Steps.Make(w, 3, Steps.Chain(10, 10 + 512, 3)), WireErrorCode.TooLarge, "513 rows" },
        { "more kept ids than tokens", w => Steps.Make(w, 3, [], keep: [.. Enumerable.Range(1, 1025).Select(i => (ulong)i)]), WireErrorCode.TooLarge, "1025 kept ids" },
        { "a tap", w => Tapped(Steps.Make(w, 3, [(10, 3)])), WireErrorCode.Malformed, "asks for a tap" },
        { "truncation past the end", _ => new TruncateFrame(3, 0, 4), WireErrorCode.UnknownRow, "truncates to 4; 3 positions" },
        { "more rows than the session has room for", w => Steps.Make(w, 3, Steps.Chain(100, 100 + 511, 3)), WireErrorCode.QuotaExceeded, "room for 507 of its 512" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task A_bad_frame_is_refused_by_name_and_changes_nothing(string what, Func<int, ClientFrame> make, WireErrorCode code, string message)
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link(), maxKvTokens: what.StartsWith("more rows") ? 512 : 1024);
        int w = worker.Width;
        await client.RunAsync(Steps.Make(w, 1, Steps.Chain(1, 3, 0)));
        await client.RunAsync(Steps.Make(w, 2, [(4, 3), (5, 3)], keep: [1, 2, 3]));
        ClientFrame bad = make(w);
        await client.SendAsync(bad);
        WireError error = await client.ErrorAsync();
        Assert.Equal(code, error.Code);
        Assert.Contains(message, error.Message);
        Assert.True(error.SessionSurvives, what);
        Assert.Equal(bad switch { StepFrame s => s.Seq, TruncateFrame t => t.Seq, _ => 0 }, error.Seq);

        Assert.Equal(5, worker.Endpoint.KvTokensUsed);
        float[] rows = await client.RunAsync(Steps.Make(w, 3, [(600, 4)]));
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 3, 4, 600]), rows);
    }

    [Fact]
    public async Task Frames_behind_a_refused_one_are_dropped_and_may_be_sent_again()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        int w = worker.Width;
        await client.SendAsync(Steps.Make(w, 1, [(1, 0)]));
        await client.SendAsync(Steps.Make(w, 2, [(2, 1), (9, 8)], keep: [1]));
        await client.SendAsync(Steps.Make(w, 3, [(10, 1)]));
        await client.SendAsync(Steps.Make(w, 4, [(11, 10)]));
        Assert.Equal(1ul, (await client.RowsAsync()).Seq);
        Assert.Equal((WireErrorCode.UnknownParent, 2ul), await CodeAndSeq());

        // 3 and 4 were queued behind it (dropped in silence) or came after it (out of order): never applied.
        await client.SendAsync(new PingFrame(1));
        WorkerFrame? frame;
        while ((frame = await client.ReceiveAsync()) is ErrorFrame { Error: var later })
        {
            Assert.Equal(WireErrorCode.OutOfOrder, later.Code);
        }

        Assert.IsType<PongFrame>(frame);

        // The keep of step 2 was applied before its rows were refused; sending it again does not apply it twice.
        await client.RunAsync(Steps.Make(w, 2, [(2, 1)], keep: [1]));
        Assert.Equal(Steps.Alone(worker.Model, [1, 2, 10]), await client.RunAsync(Steps.Make(w, 3, [(10, 2)], keep: [2])));

        async Task<(WireErrorCode, ulong)> CodeAndSeq()
        {
            WireError error = await client.ErrorAsync();
            return (error.Code, error.Seq);
        }
    }

    [Fact]
    public async Task An_applied_frame_is_answered_from_the_buffer_and_never_applied_again()
    {
        await using var worker = new TestWorker();
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        StepFrame step = Steps.Make(worker.Width, 1, Steps.Chain(1, 3, 0));
        float[] first = await client.RunAsync(step);
        Assert.Equal(first, await client.RunAsync(step));
        Assert.Equal(3, worker.Endpoint.KvTokensUsed);

        await client.RunAsync(Steps.Make(worker.Width, 2, [(4, 3)], ack: 1));
        await client.SendAsync(step);
        WireError error = await client.ErrorAsync();
        Assert.Equal(WireErrorCode.OutOfOrder, error.Code);
        Assert.Contains("acknowledged", error.Message);
    }

    [Fact]
    public async Task Frames_in_flight_are_bounded()
    {
        await using var worker = new TestWorker(new ServingLimits { MaxFramesInFlight = 4 });
        Assert.Equal(4, worker.Endpoint.Describe("alice").Limits.MaxFramesInFlight);
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        for (ulong seq = 1; seq <= 4; seq++)
        {
            await client.RunAsync(Steps.Make(worker.Width, seq, [(seq, seq - 1)]));
        }

        await client.SendAsync(Steps.Make(worker.Width, 5, [(5, 4)]));
        WireError error = await client.ErrorAsync();
        Assert.Equal(WireErrorCode.QuotaExceeded, error.Code);
        Assert.Contains("number 5 without an acknowledgement; at most 4", error.Message);
        await client.RunAsync(Steps.Make(worker.Width, 5, [(5, 4)], ack: 4));
    }

    [Fact]
    public async Task Buffered_bytes_are_bounded()
    {
        await using var worker = new TestWorker(new ServingLimits { MaxBufferedBytesPerSession = 1 << 16, MaxFramesInFlight = 1000 });
        await using TestClient client = await TestClient.OpenAsync(worker.Link());
        int rows = Math.Min(8, worker.Endpoint.Describe("alice").Limits.MaxRowsPerStep);
        for (ulong seq = 1; ; seq++)
        {
            ulong first = ((seq - 1) * (ulong)rows) + 1;
            await client.SendAsync(Steps.Make(worker.Width, seq, Steps.Chain(first, first + (ulong)rows - 1, first - 1)));
            if (await client.ReceiveAsync() is ErrorFrame { Error: var error })
            {
                Assert.Equal(WireErrorCode.QuotaExceeded, error.Code);
                Assert.InRange(seq, 2ul, 6ul);
                await client.RunAsync(Steps.Make(worker.Width, seq, [(first, first - 1)], ack: seq - 1));
                break;
            }
        }
    }

    [Fact]
    public async Task What_opens_a_stream_is_checked()
    {
        await using var worker = new TestWorker();
        OpenFrame good = TestClient.Open();
        await Check(good with { Version = 0 }, WireErrorCode.UnsupportedVersion, "at most 0");
        await Check(good with { LayerEnd = 8 }, WireErrorCode.UnsupportedLayers, "5..8 were asked for; this worker runs 5..7");
        await Check(good with { MaxKvTokens = 0 }, WireErrorCode.QuotaExceeded, "0 KV tokens");
        await Check(good with { MaxKvTokens = int.MaxValue }, WireErrorCode.QuotaExceeded, "2147483647 KV tokens");
        foreach (ClientFrame other in (ClientFrame[])[new PingFrame(1), new CloseFrame(), Steps.Make(worker.Width, 1, [(1, 0)])])
        {
            await using ILinkStream stream = await worker.Link().OpenStreamAsync(default);
            await stream.SendAsync(other, default);
            Assert.Contains("first frame", Assert.IsType<ErrorFrame>(await stream.ReceiveAsync(default)).Error.Message);
            Assert.Null(await stream.ReceiveAsync(default));
        }

        // A newer client is answered with the version in force here.
        await using TestClient newer = await TestClient.StartAsync(worker.Link(), good with { Version = 9 });
        Assert.Equal(ProtocolVersion.Highest, Assert.IsType<OpenedFrame>(await newer.ReceiveAsync()).Version);

        // An older one in its own version, which knows of no hops.
        await using TestClient older = await TestClient.StartAsync(worker.Link(), good with { Version = 1 });
        Assert.Equal(1, Assert.IsType<OpenedFrame>(await older.ReceiveAsync()).Version);
        await Check(good with { Version = 1, TakesHop = true }, WireErrorCode.Malformed, "from version 2 on");
        await older.SendAsync(new CloseFrame());
        Assert.Null(await older.ReceiveAsync());

        // A second open frame ends the session.
        await newer.SendAsync(good);
        Assert.False((await newer.ErrorAsync()).SessionSurvives);
        Assert.Equal(0, worker.Endpoint.Sessions);

        async Task Check(OpenFrame open, WireErrorCode code, string message)
        {
            WireError error = await TestClient.RefusedAsync(worker.Link(), open);
            Assert.Equal((code, false), (error.Code, error.SessionSurvives));
            Assert.Contains(message, error.Message);
        }
    }

    private static byte[] NotFinite(int width)
    {
        byte[] payload = new byte[2 * 4 * width];
        BitConverter.TryWriteBytes(payload.AsSpan(4 * (width + 7)), float.NaN);
        return payload;
    }

    private static StepFrame Tapped(StepFrame step) => step with { Rows = step.Rows.ToArray().Select(r => r with { Flags = RowFlags.Return | RowFlags.Tap }).ToArray() };
}
