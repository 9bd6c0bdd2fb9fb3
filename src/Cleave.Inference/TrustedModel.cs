using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Inference;

/// <summary>What the trusted side holds of a model: tokenizer, head and tail. Shared by all sessions of a process.</summary>
public sealed class TrustedModel : IDisposable
{
    private readonly IComputeDevice _device;
    private readonly ElementType? _kvType;
    private readonly LayerWorkspace _workspace;
    private LayerStack? _middle;
    private KvPool? _middlePool;

    private TrustedModel(
        IModelSource source, Tokenizer tokenizer, IComputeDevice device, LocalHead head, LocalTail tail, LayerRange middleRange, ElementType? kvType,
        LayerWorkspace workspace)
    {
        Source = source;
        Config = source.Config;
        Tokenizer = tokenizer;
        _device = device;
        Head = head;
        Tail = tail;
        MiddleRange = middleRange;
        _kvType = kvType;
        _workspace = workspace;

        // Where whole rows of logits are better not asked for, the device is a GPU.
        HeadPasses = new SharedPass<HeadJob>(Gate, device.PrefersTopRows, head.Run);
        TailPasses = new SharedPass<TailJob>(Gate, device.PrefersTopRows, tail.Run);
    }

    /// <summary>The file.</summary>
    public IModelSource Source { get; }

    /// <summary>Its configuration.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Embedding and first layers.</summary>
    public LocalHead Head { get; }

    /// <summary>Last layers, final norm and LM head.</summary>
    public LocalTail Tail { get; }

    /// <summary>Layers that run elsewhere.</summary>
    public LayerRange MiddleRange { get; }

    /// <summary>Where head and tail run.</summary>
    public IComputeDevice Device => _device;

    /// <summary>Serialises use of the device.</summary>
    public ComputeGate Gate { get; } = new();

    /// <summary>The head, for all sessions of the process.</summary>
    internal SharedPass<HeadJob> HeadPasses { get; }

    /// <summary>The tail, likewise.</summary>
    internal SharedPass<TailJob> TailPasses { get; }

    /// <summary>
    /// Loads head and tail. <paramref name="cut"/> null loads no layers at all into them: the unsplit case, whose whole stack is
    /// a <see cref="LocalMiddle"/> (<see cref="CreateLocalMiddle"/>).
    /// </summary>
    /// <param name="source">A model file with its ends; disposed with the model.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="device">Where to run; disposed with the model.</param>
    /// <param name="cut">The cut, already validated.</param>
    /// <param name="kvTokens">Cache rows all sessions together may hold on this side.</param>
    /// <param name="kvType">Storage of keys and values; null takes the device's preference.</param>
    /// <param name="progress">Layers loaded, of the head's and then of the tail's.</param>
    /// <exception cref="ModelFormatException">The file lacks its ends or a layer.</exception>
    public static TrustedModel Load(
        IModelSource source, Tokenizer tokenizer, IComputeDevice device, Cut? cut, int kvTokens, ElementType? kvType = null,
        IProgress<LoadProgress>? progress = null)
    {
        if (!source.HasEnds)
        {
            throw new ModelFormatException(
                $"{source.Path} is a middle-only export: it has no embedding and no LM head; give the trusted side the whole model");
        }

        int layers = source.Config.Layers;
        LayerRange head = cut?.HeadRange ?? new LayerRange(0, 0);
        LayerRange tail = cut?.TailRange(layers) ?? new LayerRange(layers, layers);
        var workspace = new LayerWorkspace();
        LocalHead? localHead = null;
        try
        {
            localHead = new(device, source, head, kvTokens, kvType, workspace, progress);
            LocalTail localTail = new(device, source, tail, kvTokens, kvType, workspace, progress);
            return new TrustedModel(source, tokenizer, device, localHead, localTail, new LayerRange(head.End, tail.Start), kvType, workspace);
        }
        catch
        {
            localHead?.Dispose();
            workspace.Dispose();
            throw;
        }
    }

    /// <summary>Middle layers on this machine (unsplit inference); loaded at the first call, shared by later ones.</summary>
    /// <param name="maxTokens">Most rows the session may hold.</param>
    /// <param name="kvTokens">Cache rows of all such sessions together; the first call decides.</param>
    /// <param name="progress">Layers loaded.</param>
    /// <param name="cuts">Where a chain's workers meet whose results these are to be compared with; null for one worker.</param>
    public IMiddle CreateLocalMiddle(int maxTokens, int kvTokens, IProgress<LoadProgress>? progress = null, WireCuts? cuts = null)
    {
        _middle ??= LayerStack.Load(_device, Source, MiddleRange, progress, _workspace);
        _middlePool ??= _middle.CreatePool(kvTokens, _kvType);
        return new LocalMiddle(_middle, _middlePool, maxTokens, Gate, cuts);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _middlePool?.Dispose();
        _middle?.Dispose();
        Head.Dispose();
        Tail.Dispose();
        _workspace.Dispose();
        _device.Dispose();
        Source.Dispose();
        Gate.Dispose();
    }
}
