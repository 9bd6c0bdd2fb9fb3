using System.Net;
using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.PrivacyLab.Capture;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Shaping;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Privacy;

/// <summary>A trusted side, an emulated link to a worker, and someone who watches the link.</summary>
internal sealed class TrafficLane : IAsyncDisposable
{
    private readonly WanEmulator _wan;
    private readonly TrafficTap _tap;
    private readonly SplitHost _host;

    private TrafficLane(WanEmulator wan, TrafficTap tap, SplitHost host)
    {
        _wan = wan;
        _tap = tap;
        _host = host;
    }

    /// <summary>The trusted side.</summary>
    public TrustedModel Model => _host.Model;

    /// <summary>Starts the trusted side and the link; the worker runs on this machine already.</summary>
    public static async Task<TrafficLane> StartAsync(
        string modelPath, Cut cut, PairingLink worker, WanOptions link, FrameShape? shape, CancellationToken cancellationToken)
    {
        WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Port), link);
        TrafficTap tap = TrafficTap.Start(wan.ListenEndPoint);
        var settings = new SplitSettings
        {
            ModelPath = modelPath,
            Cut = cut,
            ContextTokens = 512,
            Workers = [worker.At(tap.ListenEndPoint.Address.ToString(), tap.ListenEndPoint.Port)],
            Privacy = new PrivacySettings { Shape = shape },
        };
        SplitHost host = await SplitHost.StartAsync(settings, static _ => { }, cancellationToken);
        return new TrafficLane(wan, tap, host);
    }

    /// <summary>One session, as the network sees it from its opening to its closing.</summary>
    public async Task<TrafficTrace> RunAsync(int[] prompt, int tokens, string decoder, double rttMs, CancellationToken cancellationToken)
    {
        _tap.Begin();
        TextGenerator generator = await _host.OpenAsync(decoder, cancellationToken, knownRttMs: rttMs);
        await using (generator)
        {
            var options = new GenerationOptions { Decoding = new DecodingOptions { MaxTokens = tokens, StopAtEndOfTurn = false } };
            await Answer.GenerateAsync(generator, prompt, options, null, cancellationToken);
        }

        return _tap.End();
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _tap.DisposeAsync();
        await _wan.DisposeAsync();
    }
}
