using System.Security.Cryptography;
using Cleave.Compute;
using Cleave.Compute.Training;
using Cleave.Inference;
using Cleave.Models;
using Cleave.PrivacyLab.Attacks;
using Cleave.PrivacyLab.Corpus;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Study;

/// <summary>What every experiment shares: the model file, the attacker's device and his copy of the public weights, the texts as tokens.</summary>
public sealed class LabBench : IDisposable
{
    // Rows one session, or one pass over candidates, needs at most.
    private const int SessionRows = 2048;

    private readonly Func<IComputeDevice> _open;
    private readonly CpuDevice _cpu;
    private readonly Lazy<EmbeddingTable> _embeddings;
    private readonly Lazy<LanguageModelPrior> _languageModel;
    private readonly Lazy<IReadOnlyList<int[]>> _attackerTokens;

    /// <param name="modelPath">The model attacked.</param>
    /// <param name="evaluation">Texts attacked; null takes those that come with the program.</param>
    /// <param name="attacker">Texts attackers train on; null takes those that come with the program.</param>
    /// <param name="open">Opens a device for models, the victim's and the attacker's, which need equal kernels; null takes the CPU.</param>
    public LabBench(
        string modelPath, IReadOnlyList<CorpusDocument>? evaluation = null, IReadOnlyList<CorpusDocument>? attacker = null, Func<IComputeDevice>? open = null)
    {
        _open = open ?? (static () => new CpuDevice());
        ModelPath = modelPath;
        Source = ModelSource.Open(modelPath);
        Tokenizer = TokenizerLoader.Load(Source);
        Evaluation = evaluation ?? CorpusSet.Evaluation;
        Attacker = attacker ?? CorpusSet.Attacker;
        Device = _open();
        _cpu = Device as CpuDevice ?? new CpuDevice();
        Product = new MatrixProduct(_cpu);
        Trainer = new CpuPerceptronTrainer(Product);
        _embeddings = new(() => new EmbeddingTable(Product, Source));
        _languageModel = new(() => new LanguageModelPrior(Device, Source, SessionRows));
        _attackerTokens = new(() => [.. Attacker.Select(document => Tokenizer.Encode(document.Text, parseSpecial: true))]);
    }

    /// <summary>The model file.</summary>
    public string ModelPath { get; }

    /// <summary>The attacker's copy of it.</summary>
    public IModelSource Source { get; }

    /// <summary>Its tokenizer.</summary>
    public Tokenization.Tokenizer Tokenizer { get; }

    /// <summary>Texts attacked.</summary>
    public IReadOnlyList<CorpusDocument> Evaluation { get; }

    /// <summary>Texts attackers train on.</summary>
    public IReadOnlyList<CorpusDocument> Attacker { get; }

    /// <summary>Texts attackers train on, as tokens, in the order of <see cref="Attacker"/>.</summary>
    public IReadOnlyList<int[]> AttackerTokens => _attackerTokens.Value;

    /// <summary>The attacker's device.</summary>
    public IComputeDevice Device { get; }

    /// <summary>His products, in float32 on the CPU whatever the device: closed forms stand or fall with their sums.</summary>
    public MatrixProduct Product { get; }

    /// <summary>Trains his networks; on the CPU unless set.</summary>
    public IPerceptronTrainer Trainer { get; set; }

    /// <summary>The public embedding.</summary>
    public EmbeddingTable Embeddings => _embeddings.Value;

    /// <summary>The public model as a language model.</summary>
    public LanguageModelPrior LanguageModel => _languageModel.Value;

    /// <summary>Tokens there are.</summary>
    public int VocabularySize => Source.Config.VocabularySize;

    /// <summary>SHA-256 of the model file, lower-case hexadecimal.</summary>
    public string ModelHash()
    {
        using FileStream file = File.OpenRead(ModelPath);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>A victim's trusted side, cut as asked; <paramref name="change"/> is what he did to his weights in private.</summary>
    public TrustedModel OpenVictim(Cut cut, Func<IModelSource, IComputeDevice, IModelSource>? change = null)
    {
        IModelSource source = ModelSource.Open(ModelPath);
        IComputeDevice device = _open();
        return TrustedModel.Load(change?.Invoke(source, device) ?? source, Tokenizer, device, cut, SessionRows);
    }

    /// <summary>The same model and texts on devices of its own, for what runs beside this. Networks are trained on the CPU there.</summary>
    public LabBench Another() => new(ModelPath, Evaluation, Attacker, _open);

    /// <summary>The attacker's copy of a head.</summary>
    public CandidateHead OpenHead(Cut cut, int lanes = 32) => new(Device, Source, cut.HeadRange, 2 * lanes * 1024);

    /// <summary>The attacker's copy of a tail.</summary>
    public TailReplay OpenTail(Cut cut) => new(Device, Source, cut.TailRange(Source.Config.Layers), SessionRows);

    /// <summary>
    /// Attackers' token windows in an order of this seed, from documents whose domain passes. Windows, not whole documents, so that a small
    /// budget still spans many texts.
    /// </summary>
    public IEnumerable<int[]> AttackerWindows(int seed, int windowTokens, Func<CorpusDomain, bool>? domains = null)
    {
        var windows = new List<int[]>();
        for (int i = 0; i < Attacker.Count; i++)
        {
            if (domains?.Invoke(Attacker[i].Domain) ?? true)
            {
                windows.AddRange(AttackerTokens[i].Chunk(windowTokens - 1));
            }
        }

        int[][] shuffled = [.. windows];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (_embeddings.IsValueCreated)
        {
            _embeddings.Value.Dispose();
        }

        if (_languageModel.IsValueCreated)
        {
            _languageModel.Value.Dispose();
        }

        Trainer.Dispose();
        Product.Dispose();
        if (_cpu != Device)
        {
            _cpu.Dispose();
        }

        Device.Dispose();
        Source.Dispose();
    }
}
