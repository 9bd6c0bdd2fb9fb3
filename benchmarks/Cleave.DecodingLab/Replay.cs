using Cleave.Compute;
using Cleave.Engine;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Inference.Tests.Simulation;
using Cleave.Models;

namespace Cleave.DecodingLab;

/// <summary>
/// Plays recordings again over a virtual link: the target is blank (its text is known), its compute is charged to the virtual
/// clock; the drafter really runs. One minute of decoding takes about a second.
/// </summary>
internal sealed class Replay : IDisposable
{
    private readonly IModelSource _source;
    private readonly TrustedModel _model;
    private readonly DraftModel? _draft;
    private readonly LayerStack _middle;
    private readonly KvPool _middlePool;
    private readonly ComputeGate _middleGate = new();
    private VirtualClock _clock = new();
    private double _workerMs;

    /// <param name="modelPath">The target.</param>
    /// <param name="draftPath">Its draft model, or "none".</param>
    public Replay(string modelPath, string draftPath)
    {
        _source = ModelSource.Open(modelPath);
        var tokenizer = TokenizerLoader.Load(_source);
        _model = TrustedModel.Load(_source, tokenizer, new MeteredDevice(new BlankDevice(), ms => _clock.Compute(ms)), Cut.Default, 8192);
        _draft = draftPath == "none" ? null : DraftModel.Load(draftPath, tokenizer, new MeteredDevice(new CpuDevice(), ms => _clock.Compute(ms)));
        var worker = new MeteredDevice(new BlankDevice(), ms => _workerMs += ms);
        _middle = LayerStack.Load(worker, _source, _model.MiddleRange);
        _middlePool = _middle.CreatePool(8192);
    }

    public async Task<GenerationStatistics> RunAsync(Recording recording, string decoder, VirtualLink link, DecodingOptions options)
    {
        _clock = new VirtualClock();
        _workerMs = 0;
        var inner = new LocalMiddle(_middle, _middlePool, 4096, _middleGate);
        var middle = new VirtualMiddle(inner, _clock, link, () =>
        {
            double ms = _workerMs;
            _workerMs = 0;
            return ms;
        });
        var session = new SplitSession(_model, middle, 4096) { Clock = _clock };
        await using var generator = new TextGenerator(session, DecoderCatalog.Create(decoder, new DrafterContext { DraftModel = _draft }));
        var generation = new GenerationOptions
        {
            Sampling = Recording.Samplings[recording.Sampling],
            Mask = new ReplayMask(recording.Output),
            Decoding = options with { MaxTokens = recording.Output.Length, StopAtEndOfTurn = false },
        };
        int at = 0;
        await foreach (DecodedToken token in generator.GenerateAsync(recording.Prompt, generation))
        {
            if (token.Token != recording.Output[at++])
            {
                throw new InvalidOperationException("the replay left its text");
            }
        }

        return generator.Statistics!;
    }

    public void Dispose()
    {
        _middlePool.Dispose();
        _middle.Dispose();
        _draft?.Dispose();
        _model.Dispose();
    }
}
