using System.CommandLine;
using System.Net;
using Cleave.Cli.Arguments;
using Cleave.Cli.Terminal;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Commands;

/// <summary><c>cleave wan</c>: an emulated wide-area link in front of any TCP service.</summary>
internal sealed class WanCommand : TaughtCommand
{
    private readonly Option<IPEndPoint> _listen = new("--listen")
    {
        Description = "Address to accept connections on, HOST:PORT (port 0 picks one)",
        CustomParser = Parsed.With(AddressText.ParseListen),
        DefaultValueFactory = static _ => new IPEndPoint(IPAddress.Loopback, 0),
    };

    private readonly Option<EndPoint> _to = new("--to")
    {
        Description = "Where connections go, HOST:PORT",
        Required = true,
        CustomParser = Parsed.With(AddressText.ParseTarget),
    };

    private readonly Option<TimeSpan> _rtt = new("--rtt") { Description = "Round-trip time (80ms)", CustomParser = Parsed.With(DurationText.Parse) };
    private readonly Option<double> _up = new("--up") { Description = "Bandwidth towards the target (100mbit; default: no limit)", CustomParser = Parsed.With(BandwidthText.Parse) };
    private readonly Option<double> _down = new("--down") { Description = "Bandwidth from the target", CustomParser = Parsed.With(BandwidthText.Parse) };
    private readonly Option<TimeSpan> _jitter = new("--jitter") { Description = "The round trip varies by this much either way (5ms)", CustomParser = Parsed.With(DurationText.Parse) };
    private readonly Option<WanCut[]> _cut = new("--cut")
    {
        Description = "Drop all connections and refuse new ones, WHEN:HOW-LONG after the start (30s:2s); may be repeated",
        CustomParser = static result => Parsed.Each(result, WanCut.Parse),
    };

    private readonly Option<bool> _calibrate = new("--calibrate") { Description = "Measure the emulator itself against an echo on this machine, and stop" };

    public WanCommand()
        : base("wan", "Emulate a wide-area link: a TCP proxy with delay, bandwidth, jitter and cuts (no slow start, no loss)")
    {
        _to.Required = false;
        Options.Add(_listen);
        Options.Add(_to);
        Options.Add(_rtt);
        Options.Add(_up);
        Options.Add(_down);
        Options.Add(_jitter);
        Options.Add(_cut);
        Options.Add(_calibrate);
        Validators.Add(result =>
        {
            if (!result.GetValue(_calibrate) && result.GetResult(_to) is null)
            {
                result.AddError("--to HOST:PORT is missing: where should connections go?");
            }
        });
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave wan --listen 127.0.0.1:9000 --to 127.0.0.1:7707 --rtt 80ms --up 20mbit --down 100mbit", "an ADSL-like line in front of a worker"),
        ("cleave wan --listen 127.0.0.1:9000 --to 127.0.0.1:7707 --rtt 80ms --jitter 5ms --cut 30s:2s", "a mobile line that drops for 2 s after half a minute"),
        ("cleave wan --rtt 80ms --calibrate", "how exact the emulated delay is on this machine"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var options = new WanOptions
        {
            Rtt = parsed.GetValue(_rtt),
            UpBitsPerSecond = parsed.GetValue(_up),
            DownBitsPerSecond = parsed.GetValue(_down),
            Jitter = parsed.GetValue(_jitter),
            Cuts = parsed.GetValue(_cut) ?? [],
        };
        if (parsed.GetValue(_calibrate))
        {
            WanCalibration.Result result = await WanCalibration.RunAsync(options, cancellationToken);
            Console.WriteLine(result.ToString());
            return ExitCode.Success;
        }

        await using WanEmulator wan = WanEmulator.Start(parsed.GetValue(_listen)!, parsed.GetValue(_to)!, options);
        Console.Error.WriteLine($"listening on {wan.ListenEndPoint}, Ctrl-C stops");
        try
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The way it ends.
        }

        Console.Error.WriteLine($"{wan.ConnectionCount} connections, {wan.BytesUp:N0} bytes up, {wan.BytesDown:N0} bytes down");
        return ExitCode.Success;
    }
}
