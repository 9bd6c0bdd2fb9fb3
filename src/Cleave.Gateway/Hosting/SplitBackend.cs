using Cleave.Compute.Gpu;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Pairing;

namespace Cleave.Gateway.Hosting;

/// <summary>
/// A backend made of a model file and pairing links, for programs that host it themselves:
/// <list type="number">
/// <item>open the model and check the cut;</item>
/// <item>load head and tail (all of it when there is no worker);</item>
/// <item>ask the workers what they are, and compare their word with our own file.</item>
/// </list>
/// </summary>
public sealed class SplitBackend : IAsyncDisposable
{
    // Draft rows live beside the committed ones.
    private const int DraftRows = 128;

    private readonly List<ILink> _links;

    private SplitBackend(GatewayBackend backend, List<ILink> links)
    {
        Backend = backend;
        _links = links;
    }

    /// <summary>What it answers with.</summary>
    public GatewayBackend Backend { get; }

    /// <summary>Makes one.</summary>
    /// <exception cref="ModelFormatException">The model cannot be opened.</exception>
    /// <exception cref="InferenceException">The model cannot be cut so, or a worker holds something else.</exception>
    /// <exception cref="DeviceUnavailableException">There is no such device.</exception>
    /// <exception cref="GpuMemoryException">The device has too little memory.</exception>
    /// <exception cref="FormatException">A pairing link is none.</exception>
    /// <exception cref="WireException">No worker can be used.</exception>
    public static async Task<SplitBackend> OpenAsync(SplitBackendOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);

        // 1. The model and the cut.
        PairingLink[] workers = [.. options.Workers.Select(static text => PairingLinkSource.Read(text, TextReader.Null))];
        Cut? cut = workers.Length == 0 ? null : options.Cut;
        IModelSource source = ModelSource.Open(options.ModelPath);
        if (cut?.Validate(source.Config.Layers) is { } problem)
        {
            source.Dispose();
            throw new InferenceException(problem);
        }

        // 2. Head and tail.
        int context = Math.Min(options.ContextTokens ?? source.Config.ContextLength, source.Config.ContextLength);
        int kvTokens = options.MaxConversations * (context + DraftRows);
        TrustedModel model = await Task.Run(() => TrustedModel.Load(source, TokenizerLoader.Load(source), DeviceSelector.Open(new DeviceRequest { Name = options.Device }), cut, kvTokens), cancellationToken);
        var links = new List<ILink>(workers.Select(static worker => new GrpcLink(worker)));
        try
        {
            GatewayBackend backend = cut is null ? Unsplit(model, options, context, kvTokens) : await SplitAsync(model, links, options, context, cancellationToken);
            return new SplitBackend(backend, links);
        }
        catch
        {
            await DisposeAsync(model, links);
            throw;
        }
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => DisposeAsync(Backend.Model, _links);

    private static GatewayBackend Unsplit(TrustedModel model, SplitBackendOptions options, int context, int kvTokens) => new()
    {
        Model = model,
        ModelName = NameOf(options.ModelPath),
        Decoder = options.Decoder,
        ContextTokens = context,
        MaxConversations = options.MaxConversations,
        PrivacyVerdict = "privacy: nothing left this machine",
        OpenAsync = (opening, _) => Task.FromResult(new TextGenerator(
            new SplitSession(model, model.CreateLocalMiddle(context + DraftRows, kvTokens), context + DraftRows),
            DecoderCatalog.Create(options.Decoder, new DrafterContext()),
            opening.KnownRttMs)),
    };

    private static async Task<GatewayBackend> SplitAsync(
        TrustedModel model, List<ILink> links, SplitBackendOptions options, int context, CancellationToken cancellationToken)
    {
        // 3. A worker's word, now and whenever one is picked.
        var roster = new WorkerRoster(links, new WorkerMatch(model.Source, model.MiddleRange, options.Wire).Check);
        Worker worker = await roster.PickAsync(cancellationToken);
        int tokens = Math.Min(context + DraftRows, worker.Description.Limits.MaxKvTokensPerSession);
        return new GatewayBackend
        {
            Model = model,
            ModelName = NameOf(options.ModelPath),
            Decoder = options.Decoder,
            ContextTokens = Math.Min(context, tokens),
            MaxConversations = Math.Min(options.MaxConversations, Math.Max(1, worker.Description.Limits.MaxSessionsPerTenant)),
            Cut = options.Cut,
            Worker = worker.Description,
            WorkerAddress = string.Join(", ", links.Select(static link => link.Name)),
            Wire = options.Wire,
            PrivacyVerdict = "privacy: with these weights public, the operator of the worker can reconstruct this conversation; only activations were sent, and that does not prevent it",
            OpenAsync = async (opening, cancellation) => new TextGenerator(
                new SplitSession(
                    model,
                    await RemoteMiddle.OpenAsync(
                        roster,
                        new RemoteMiddleOptions
                        {
                            Range = model.MiddleRange,
                            WireType = options.Wire,
                            HiddenSize = model.Config.HiddenSize,
                            MaxTokens = tokens,
                            Events = opening.Events.Tell,
                        },
                        cancellation),
                    tokens),
                DecoderCatalog.Create(options.Decoder, new DrafterContext()),
                opening.KnownRttMs),
        };
    }

    private static string NameOf(string path) => Path.GetFileNameWithoutExtension(path);

    private static async ValueTask DisposeAsync(TrustedModel model, List<ILink> links)
    {
        foreach (ILink link in links)
        {
            await link.DisposeAsync();
        }

        model.Dispose();
    }
}
