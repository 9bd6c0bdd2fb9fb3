using System.Net;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Gateway.Hosting;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;
using Cleave.Protocol.Shaping;
using Cleave.Protocol.Wan;

namespace Cleave.Cli.Running;

/// <summary>
/// Everything a command needs to generate: the trusted side's model, and the way to its middle layers. Starting it:
/// <list type="number">
/// <item>open the model and check the cut;</item>
/// <item>start a worker process, unless one was given or the model runs unsplit, and load head and tail meanwhile;</item>
/// <item>put the emulated link in between, if asked for;</item>
/// <item>know the workers by their links; what one says it holds is compared with our own file when a session opens on it.</item>
/// </list>
/// </summary>
internal sealed class SplitHost : IAsyncDisposable
{
    // Draft rows live beside the committed ones.
    private const int DraftRows = 128;

    // A worker of our own that vanished will not come back by itself; a stranger's may be restarting.
    private static readonly TimeSpan OwnWorkerPatience = TimeSpan.FromSeconds(10);

    private readonly SplitSettings _settings;
    private readonly Action<string> _say;
    private readonly Action<string> _interject;
    private readonly int _sessionTokens;
    private readonly List<WanEmulator> _wans = [];
    private readonly List<ILink> _links = [];
    private readonly List<EmbeddingNoise> _ledgers = [];
    private WorkerProcess? _workerProcess;
    private DraftModel? _draftModel;
    private WorkerRoster? _roster;

    private SplitHost(SplitSettings settings, TrustedModel model, Action<string> say, Action<string> interject)
    {
        _settings = settings;
        _say = say;
        _interject = interject;
        Model = model;
        Audit = new AuditTrail(model, settings.Wire, settings.Privacy.AuditShare);
        Noise = settings is { Cut: not null, Privacy.NoiseEpsilon: { } epsilon }
            ? new EmbeddingNoiseOptions { ClipNorm = EmbeddingNorm.Median(model.Device, model.Source), Epsilon = epsilon }
            : null;
        _sessionTokens = ContextTokens(settings, model.Config) + DraftRows;
    }

    /// <summary>Tokenizer, head and tail.</summary>
    public TrustedModel Model { get; }

    /// <summary>The cut; for an unsplit run, none.</summary>
    public Cut? Cut => _settings.Cut;

    /// <summary>Where the draft model runs; null when none was loaded.</summary>
    public IComputeDevice? DraftDevice => _draftModel?.Device;

    /// <summary>Noise of every session, or null.</summary>
    public EmbeddingNoiseOptions? Noise { get; }

    /// <summary>Epsilon of all that the session with most rows has sent so far.</summary>
    public double NoiseComposed
    {
        get
        {
            lock (_ledgers)
            {
                return _ledgers.Count == 0 ? 0 : _ledgers.Max(static ledger => ledger.EpsilonComposed);
            }
        }
    }

    /// <summary>What an audit may replay once the conversation has ended.</summary>
    public AuditTrail Audit { get; }

    /// <summary>Process id of our own worker, or null.</summary>
    public int? WorkerProcessId => _workerProcess?.ProcessId;

    /// <summary>The emulated links, one for each worker; empty without emulation.</summary>
    public IReadOnlyList<WanEmulator> Emulators => _wans;

    /// <summary>The first worker's address, the emulator's when there is one; null when unsplit.</summary>
    public PairingLink? PairingLink { get; private set; }

    /// <summary>Starts what <paramref name="settings"/> ask for.</summary>
    /// <param name="settings">Which model, where.</param>
    /// <param name="say">Told what is going on.</param>
    /// <param name="cancellationToken">Gives up; nothing is left running.</param>
    /// <param name="interject">Told what befalls a session later on, while text may be half written; null says it too.</param>
    public static async Task<SplitHost> StartAsync(SplitSettings settings, Action<string> say, CancellationToken cancellationToken, Action<string>? interject = null)
    {
        // 1. The model and the cut.
        IModelSource source = ModelSource.Open(settings.ModelPath, settings.Weights);
        Task<WorkerProcess>? starting = null;
        SplitHost? host = null;
        try
        {
            if (settings.Cut?.Validate(source.Config.Layers) is { } problem)
            {
                throw new CliException(problem);
            }

            // 2. The worker starts while head and tail load.
            if (settings is { Cut: { } cut, Workers: [] })
            {
                say("starting a worker process");
                starting = WorkerProcess.StartAsync(settings.ModelPath, cut.MiddleRange(source.Config.Layers), settings.Weights, settings.Devices, say, cancellationToken);
            }

            int kvTokens = settings.Sessions * (ContextTokens(settings, source.Config) + DraftRows);
            TrustedModel model = await Task.Run(
                () => LoadModel(source, settings, kvTokens, say), cancellationToken);
            host = new SplitHost(settings, model, say, interject ?? say);
            if (settings.Cut is not null)
            {
                host._workerProcess = starting is null ? null : await starting;
                host.Connect();
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
    /// <param name="knownRttMs">Round-trip time where an earlier conversation has measured it; null measures.</param>
    public async Task<TextGenerator> OpenAsync(
        string decoder, CancellationToken cancellationToken, Func<DrafterContext, DrafterContext>? configure = null, double? knownRttMs = null)
    {
        if (_roster is null)
        {
            return Generator(Model.CreateLocalMiddle(_sessionTokens, _settings.Sessions * _sessionTokens, new LoadingStatus("the model", _say)), _sessionTokens, decoder, configure, knownRttMs);
        }

        Remote remote = await ConnectAsync(_roster, cancellationToken);
        TextGenerator generator = Generator(
            Audit.Follow(await remote.OpenAsync(what => _interject(what.Message), cancellationToken)), remote.Tokens, decoder, configure, knownRttMs);
        await generator.PrepareAsync(cancellationToken);
        return generator;
    }

    /// <summary>Opens a conversation whose every layer runs here.</summary>
    public TextGenerator OpenLocal(string decoder, double? knownRttMs = 0) =>
        Generator(Model.CreateLocalMiddle(_sessionTokens, _settings.Sessions * _sessionTokens), _sessionTokens, decoder, null, knownRttMs);

    /// <summary>The split as a gateway uses it. Sessions are opened as they are needed.</summary>
    public async Task<GatewayBackend> BackendAsync(string decoder, CancellationToken cancellationToken)
    {
        // Sessions open at the same time: what they share is loaded before the first.
        if (DecoderCatalog.UsesDraftModel(decoder))
        {
            DraftModel();
        }

        var backend = new GatewayBackend
        {
            Model = Model,
            ModelName = Directory.Exists(_settings.ModelPath) ? Model.Config.Name : Path.GetFileNameWithoutExtension(_settings.ModelPath),
            Decoder = decoder,
            ContextTokens = _sessionTokens - DraftRows,
            MaxConversations = _settings.Sessions,
            PrivacyVerdict = PrivacyVerdict.For(this),
            KeepLocal = _settings.Cut is null ? null : _settings.Privacy.KeepLocal,
            OpenLocalAsync = (_, _) => Task.FromResult(OpenLocal(decoder)),
            Cut = _settings.Cut,
            Wire = _settings.Wire,
            OpenAsync = (opening, _) => Task.FromResult(Generator(
                Model.CreateLocalMiddle(_sessionTokens, _settings.Sessions * _sessionTokens, new LoadingStatus("the model", _say)), _sessionTokens, decoder, null, opening.KnownRttMs)),
        };
        if (_roster is not { } roster)
        {
            return backend;
        }

        Remote remote = await ConnectAsync(roster, cancellationToken);
        return backend with
        {
            Worker = remote.Workers[0],
            WorkerAddress = string.Join(", ", _links.Select(static link => link.Name)),
            ContextTokens = Math.Min(backend.ContextTokens, remote.Tokens),
            MaxConversations = Math.Min(backend.MaxConversations, Math.Max(1, remote.Workers.Min(static worker => worker.Limits.MaxSessionsPerTenant))),
            OpenAsync = async (opening, cancellation) => Generator(
                await remote.OpenAsync(opening.Events.Tell, cancellation), remote.Tokens, decoder, null, opening.KnownRttMs),
        };
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        foreach (ILink link in _links)
        {
            await link.DisposeAsync();
        }

        foreach (WanEmulator wan in _wans)
        {
            await wan.DisposeAsync();
        }

        if (_workerProcess is not null)
        {
            await _workerProcess.DisposeAsync();
        }

        _draftModel?.Dispose();
        Model.Dispose();
    }

    /// <summary>The draft model, loaded when first asked for: the one given, or the bundled one's own.</summary>
    private DraftModel? DraftModel()
    {
        string? path = _settings.DraftPath
            ?? (Path.GetFileName(_settings.ModelPath) == BundledModels.DemoFile ? BundledModels.Find(BundledModels.DraftFile) : null);
        return _draftModel ??= path is null ? null : DraftDevices.Load(path, Model.Tokenizer, _settings.Devices.DraftDevice, _say);
    }

    private static TrustedModel LoadModel(IModelSource source, SplitSettings settings, int kvTokens, Action<string> say)
    {
        IComputeDevice device = DeviceSelector.Open(TrustedDevice.Request(source, settings, kvTokens, say), say);
        try
        {
            return TrustedModel.Load(source, TokenizerLoader.Load(source), device, settings.Cut, kvTokens, settings.Devices.KvType, new LoadingStatus("head and tail", say));
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    private void Connect()
    {
        foreach (PairingLink worker in _workerProcess is null ? _settings.Workers : [_workerProcess.Link])
        {
            ILink link = LinkTo(worker);
            _links.Add(_workerProcess is not null && _settings.RestartWorker ? new RestartingLink(link, () => _workerProcess.HasExited, RestartAsync) : link);
        }

        // 4. A worker's word is compared with our file whenever one is picked.
        _roster = new WorkerRoster(_links, new WorkerMatch(Model.Source, Model.MiddleRange, _settings.Wire).Check);
    }

    private ILink LinkTo(PairingLink worker)
    {
        // 3. The emulated link.
        PairingLink link = worker;
        if (_settings.Wan is { } options)
        {
            WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), Target(worker), options);
            _wans.Add(wan);
            link = worker.At(wan.ListenEndPoint.Address.ToString(), wan.ListenEndPoint.Port);
        }

        PairingLink ??= link;
        // Another worker reaches it where it is, not through our emulator.
        var direct = new GrpcLink(link) { Address = HopAddress.Of(worker) };
        return _settings.Privacy.Shape is { } shape ? new FixedShapeLink(direct, shape) : direct;
    }

    private async Task<ILink> RestartAsync(CancellationToken cancellationToken)
    {
        _interject("the worker process ended; starting another");
        await _workerProcess!.DisposeAsync();
        _workerProcess = await WorkerProcess.StartAsync(_settings.ModelPath, Model.MiddleRange, _settings.Weights, _settings.Devices, _interject, cancellationToken);
        return LinkTo(_workerProcess.Link);
    }

    private TextGenerator Generator(IMiddle middle, int tokens, string decoder, Func<DrafterContext, DrafterContext>? configure, double? knownRttMs = null)
    {
        var context = new DrafterContext { DraftModel = DecoderCatalog.UsesDraftModel(decoder) ? DraftModel() : null };
        return new TextGenerator(
            new SplitSession(Model, middle, tokens, middle is LocalMiddle ? null : FreshNoise()), DecoderCatalog.Create(decoder, configure?.Invoke(context) ?? context), knownRttMs);
    }

    private EmbeddingNoise? FreshNoise()
    {
        if (Noise is null)
        {
            return null;
        }

        var noise = new EmbeddingNoise(Noise);
        lock (_ledgers)
        {
            _ledgers.Add(noise);
        }

        return noise;
    }

    /// <summary>Asks the workers what they are, and how sessions are opened on them.</summary>
    private async Task<Remote> ConnectAsync(WorkerRoster roster, CancellationToken cancellationToken)
    {
        _say("connecting to " + string.Join(", ", _links.Select(static link => link.Name)));
        WorkerChain? chain = null;
        IReadOnlyList<WorkerDescription> workers;
        if (_settings.Chained)
        {
            chain = await WorkerChain.ConnectAsync(
                _links, Model.MiddleRange, range => new WorkerMatch(Model.Source, range, _settings.Wire).Check, cancellationToken);
            workers = chain.Workers;
        }
        else
        {
            workers = [(await roster.PickAsync(cancellationToken)).Description];
        }

        // A worker of our own reads our own file: what it says of it is no news.
        foreach (string notice in _workerProcess is null ? workers.SelectMany(static worker => worker.Notices) : [])
        {
            _interject("the worker says: " + notice);
        }

        int tokens = workers.Min(worker => Math.Min(_sessionTokens, worker.Limits.MaxKvTokensPerSession));
        return new Remote(tokens, workers, async (events, cancellation) =>
        {
            var options = new RemoteMiddleOptions
            {
                Range = Model.MiddleRange,
                WireType = _settings.Wire,
                HiddenSize = Model.Config.HiddenSize,
                MaxTokens = tokens,
                Events = events,
            };
            options = _workerProcess is null ? options : options with { RecoveryTimeout = OwnWorkerPatience };
            return chain is null ? await RemoteMiddle.OpenAsync(roster, options, cancellation) : await chain.OpenAsync(options, cancellation, _settings.Forward);
        });
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

    /// <summary>Workers that answered, and how to open a session on them.</summary>
    private sealed record Remote(
        int Tokens, IReadOnlyList<WorkerDescription> Workers, Func<Action<SessionEvent>, CancellationToken, Task<IMiddle>> OpenAsync);
}
