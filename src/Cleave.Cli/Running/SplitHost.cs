using System.Net;
using Cleave.Compute;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Running;

/// <summary>
/// Everything a command needs to generate: the trusted side's model, and the way to its middle layers. Starting it:
/// <list type="number">
/// <item>open the model and check the cut;</item>
/// <item>start a worker process, unless one was given or the model runs unsplit, and load head and tail meanwhile;</item>
/// <item>put the emulated link in between, if asked for;</item>
/// <item>connect, and compare what the worker says it holds with our own file.</item>
/// </list>
/// </summary>
internal sealed class SplitHost : IAsyncDisposable
{
    // Draft rows live beside the committed ones.
    private const int DraftRows = 128;

    private readonly SplitSettings _settings;
    private readonly int _sessionTokens;
    private WorkerProcess? _workerProcess;
    private WanEmulator? _wan;
    private ILink? _link;

    private SplitHost(SplitSettings settings, TrustedModel model)
    {
        _settings = settings;
        Model = model;
        _sessionTokens = ContextTokens(settings, model.Config) + DraftRows;
    }

    /// <summary>Tokenizer, head and tail.</summary>
    public TrustedModel Model { get; }

    /// <summary>What the worker says of itself; null when unsplit.</summary>
    public WorkerDescription? Worker { get; private set; }

    /// <summary>The cut; for an unsplit run, none.</summary>
    public Cut? Cut => _settings.Cut;

    /// <summary>Process id of our own worker, or null.</summary>
    public int? WorkerProcessId => _workerProcess?.ProcessId;

    /// <summary>Starts what <paramref name="settings"/> ask for.</summary>
    /// <param name="settings">Which model, where.</param>
    /// <param name="say">Told what is going on.</param>
    /// <param name="cancellationToken">Gives up; nothing is left running.</param>
    public static async Task<SplitHost> StartAsync(SplitSettings settings, Action<string> say, CancellationToken cancellationToken)
    {
        // 1. The model and the cut.
        IModelSource source = ModelSource.Open(settings.ModelPath);
        Task<WorkerProcess>? starting = null;
        SplitHost? host = null;
        try
        {
            if (settings.Cut?.Validate(source.Config.Layers) is { } problem)
            {
                throw new CliException(problem);
            }

            // 2. The worker starts while head and tail load.
            if (settings is { Cut: { } cut, Worker: null })
            {
                say("starting a worker process");
                starting = WorkerProcess.StartAsync(settings.ModelPath, cut.MiddleRange(source.Config.Layers), cancellationToken);
            }

            int kvTokens = settings.Sessions * (ContextTokens(settings, source.Config) + DraftRows);
            TrustedModel model = await Task.Run(
                () => TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), settings.Cut, kvTokens), cancellationToken);
            host = new SplitHost(settings, model);
            if (settings.Cut is not null)
            {
                host._workerProcess = starting is null ? null : await starting;
                await host.ConnectAsync(say, cancellationToken);
            }

            return host;
        }
        catch
        {
            if (host is not null)
            {
                await host.DisposeAsync();
            }
            else
            {
                source.Dispose();
            }

            if (starting is not null && host?._workerProcess is null)
            {
                await AbandonAsync(starting);
            }

            throw;
        }
    }

    /// <summary>Opens a conversation with a decoder of its own.</summary>
    /// <param name="decoder">Its name.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="configure">Changes the drafter's settings, or null.</param>
    public async Task<TextGenerator> OpenAsync(string decoder, CancellationToken cancellationToken, Func<DrafterContext, DrafterContext>? configure = null)
    {
        IMiddle middle = _link is null
            ? Model.CreateLocalMiddle(_sessionTokens, _settings.Sessions * _sessionTokens)
            : await RemoteMiddle.OpenAsync(
                _link, Worker!, Model.MiddleRange, _settings.Wire, Model.Config.HiddenSize,
                Math.Min(_sessionTokens, Worker!.Limits.MaxKvTokensPerSession), cancellationToken);
        int tokens = Worker is null ? _sessionTokens : Math.Min(_sessionTokens, Worker.Limits.MaxKvTokensPerSession);
        return new TextGenerator(new SplitSession(Model, middle, tokens), DecoderCatalog.Create(decoder, configure?.Invoke(new DrafterContext()) ?? new DrafterContext()));
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (_link is not null)
        {
            await _link.DisposeAsync();
        }

        if (_wan is not null)
        {
            await _wan.DisposeAsync();
        }

        if (_workerProcess is not null)
        {
            await _workerProcess.DisposeAsync();
        }

        Model.Dispose();
    }

    private async Task ConnectAsync(Action<string> say, CancellationToken cancellationToken)
    {
        PairingLink link = _settings.Worker ?? _workerProcess!.Link;

        // 3. The emulated link.
        if (_settings.Wan is { } options)
        {
            _wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), Target(link), options);
            link = link.At(_wan.ListenEndPoint.Address.ToString(), _wan.ListenEndPoint.Port);
        }

        // 4. The worker's word against our file.
        say($"connecting to {link.Address}");
        _link = new GrpcLink(link);
        Worker = await _link.DescribeAsync(cancellationToken);
        WorkerMatch.Check(Worker, Model.Source, Model.MiddleRange, _settings.Wire);

        // A worker of our own reads our own file: what it says of it is no news.
        foreach (string notice in _workerProcess is null ? Worker.Notices : [])
        {
            say("the worker says: " + notice);
        }
    }

    private static EndPoint Target(PairingLink link) =>
        IPAddress.TryParse(link.Host, out IPAddress? address) ? new IPEndPoint(address, link.Port) : new DnsEndPoint(link.Host, link.Port);

    private static int ContextTokens(SplitSettings settings, ModelConfig config) =>
        Math.Min(settings.ContextTokens ?? config.ContextLength, config.ContextLength);

    private static async Task AbandonAsync(Task<WorkerProcess> starting)
    {
        try
        {
            await using WorkerProcess worker = await starting;
        }
        catch (Exception exception) when (exception is CliException or OperationCanceledException)
        {
            // It did not start: nothing to stop.
        }
    }
}
