using Cleave.Cli.Running;
using Cleave.Inference;
using Cleave.Inference.Decoding;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// Measures a suite. One worker serves a link's cells; every prompt gets a fresh session; tokens are compared with sequential
/// decoding's of the same prompt and sampling, computed once over the split.
/// </summary>
internal sealed class BenchRunner
{
    private readonly BenchSuite _suite;
    private readonly SplitSettings _settings;
    private readonly IReadOnlyList<BenchPrompt> _prompts;
    private readonly Action<string> _say;
    private double? _rttMs;
    private double _measuredMs;
    private readonly Dictionary<(BenchPrompt Prompt, double Temperature), IReadOnlyList<int>> _sequential = [];

    public BenchRunner(BenchSuite suite, SplitSettings settings, IReadOnlyList<BenchPrompt> prompts, Action<string> say)
    {
        _suite = suite;
        _settings = settings;
        _prompts = prompts;
        _say = say;
    }

    /// <summary>Where it ran; known once it has.</summary>
    public BenchEnvironment? Environment { get; private set; }

    /// <summary>The identity battery's results, if the suite has it.</summary>
    public IReadOnlyList<IdentityResult> Identity { get; private set; } = [];

    /// <summary>Many sessions at once, if the suite has them.</summary>
    public IReadOnlyList<SessionsResult> Sessions { get; private set; } = [];

    /// <summary>Speed of the unsplit model, if the suite asks for it.</summary>
    public double LocalOnlyTokensPerSecond { get; private set; }

    /// <summary>Runs every cell, links outermost.</summary>
    public async Task<IReadOnlyList<BenchRun>> RunAsync(CancellationToken cancellationToken)
    {
        var runs = new List<BenchRun>();
        foreach (IGrouping<BenchLink, BenchCell> link in _suite.Cells.GroupBy(static c => c.Link))
        {
            await using SplitHost host = await SplitHost.StartAsync(_settings with { Wan = link.Key.Options }, _say, cancellationToken);
            Environment ??= BenchEnvironment.Of(host, _settings);
            (_rttMs, _measuredMs) = (null, double.PositiveInfinity);
            await WarmAsync(host, cancellationToken);
            _rttMs = _measuredMs;
            BenchCell[] cells = [.. link];
            List<BenchRun>[] repetitions = [.. cells.Select(static _ => new List<BenchRun>())];
            for (int repeat = 0; repeat < _suite.Repeats; repeat++)
            {
                // Repetitions outermost: what disturbs the machine for a while disturbs all cells alike.
                for (int i = 0; i < cells.Length; i++)
                {
                    BenchCell cell = cells[i];
                    string which = _suite.Repeats > 1 ? $", repetition {repeat + 1} of {_suite.Repeats}" : "";
                    _say($"{runs.Count + i + 1}/{_suite.Cells.Count}{which}: {cell.Decoder}{(cell.NgramSize > 0 ? " n=" + cell.NgramSize : "")}, {cell.Kind}, {cell.Link}");
                    repetitions[i].Add(await MeasureAsync(host, cell, cancellationToken));
                }
            }

            runs.AddRange(repetitions.Select(BenchRun.MedianOf));
        }

        if (_suite.LocalOnly)
        {
            _say("unsplit, for comparison");
            await using SplitHost host = await SplitHost.StartAsync(_settings with { Cut = null, Wan = null }, _say, cancellationToken);
            var cell = new BenchCell { Decoder = "sequential", Kind = "all", Link = new BenchLink(0), Sampling = _suite.Cells[0].Sampling };
            await AnswerAsync(host, cell, _prompts[0], cancellationToken); // warms caches and code
            var repetitions = new List<BenchRun>();
            for (int repeat = 0; repeat < _suite.Repeats; repeat++)
            {
                repetitions.Add(await MeasureAsync(host, cell, cancellationToken));
            }

            LocalOnlyTokensPerSecond = BenchRun.MedianOf(repetitions).TokensPerSecond;
        }

        if (_suite.SessionsOf.Count > 0)
        {
            Sessions = await new SessionsBattery(_settings, PromptsOf("all"), _suite, _say).RunAsync(cancellationToken);
        }

        if (_suite.IdentityOf.Count > 0)
        {
            IReadOnlyList<BenchPrompt> prompts = [.. BenchSuite.Kinds.SelectMany(kind => PromptsOf(kind))];
            Identity = await new IdentityBattery(_settings, prompts, _suite, _say).RunAsync(cancellationToken);
        }

        if (Environment is null)
        {
            await using SplitHost host = await SplitHost.StartAsync(_settings, _say, cancellationToken);
            Environment = BenchEnvironment.Of(host, _settings);
        }

        return runs;
    }

    /// <summary>The cell's prompts: the first of each of its kinds.</summary>
    public IReadOnlyList<BenchPrompt> PromptsOf(string kind, int samples = 1) =>
    [
        .. from name in kind == "all" ? BenchSuite.PaperKinds : [kind]
           from prompt in _prompts.Where(p => p.Kind == name).Take(samples * _suite.PromptsPerKind)
           select prompt,
    ];

    private async Task<BenchRun> MeasureAsync(SplitHost host, BenchCell cell, CancellationToken cancellationToken)
    {
        var answers = new List<Answer>();
        bool identical = true;
        foreach (BenchPrompt prompt in PromptsOf(cell.Kind, cell.Samples))
        {
            Answer answer = await AnswerAsync(host, cell, prompt, cancellationToken);
            answers.Add(answer);
            if (!_sequential.TryGetValue((prompt, cell.Sampling.Temperature), out IReadOnlyList<int>? expected))
            {
                expected = cell.Decoder == "sequential"
                    ? answer.Tokens
                    : (await AnswerAsync(host, cell with { Decoder = "sequential", NgramSize = 0 }, prompt, cancellationToken)).Tokens;
                _sequential[(prompt, cell.Sampling.Temperature)] = expected;
            }

            identical &= expected.SequenceEqual(answer.Tokens);
        }

        if (answers.Count == 0)
        {
            throw new CliException($"there are no prompts of kind '{cell.Kind}'; the suite needs {string.Join(", ", BenchSuite.Kinds)}");
        }

        return BenchRun.From(cell, answers, identical);
    }

    private async Task<Answer> AnswerAsync(SplitHost host, BenchCell cell, BenchPrompt prompt, CancellationToken cancellationToken)
    {
        // The link is the same for all cells on it: its round trip is the least that any of the warming sessions found.
        await using TextGenerator generator = await host.OpenAsync(cell.Decoder, cancellationToken, cell.Apply, _rttMs);
        var options = new GenerationOptions
        {
            Sampling = cell.Sampling,
            Decoding = new DecodingOptions { MaxTokens = _suite.Tokens, StopAtEndOfTurn = false },
        };
        _measuredMs = Math.Min(_measuredMs, generator.RttMs);
        return await Answer.GenerateAsync(generator, prompt.Ids(host.Model.Tokenizer), options, show: null, cancellationToken);
    }

    /// <summary>Compiled code and warm caches before the first figure.</summary>
    private async Task WarmAsync(SplitHost host, CancellationToken cancellationToken)
    {
        _say("warming up");
        BenchPrompt prompt = _prompts[0];
        foreach (string decoder in _suite.Cells.Select(static c => c.Decoder).Distinct())
        {
            await AnswerAsync(host, new BenchCell { Decoder = decoder, Kind = prompt.Kind, Link = new BenchLink(0) }, prompt, cancellationToken);
        }
    }
}
