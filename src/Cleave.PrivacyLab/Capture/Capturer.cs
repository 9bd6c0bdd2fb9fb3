using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Privacy;
using Cleave.Inference.Sessions;
using Cleave.PrivacyLab.Corpus;

namespace Cleave.PrivacyLab.Capture;

/// <summary>Runs documents over a split and keeps what its worker saw, beside the truth.</summary>
/// <param name="model">The trusted side.</param>
/// <param name="options">What to run.</param>
public sealed class Capturer(TrustedModel model, CaptureOptions options)
{
    // Live draft rows beside the committed ones.
    private const int DraftRows = 256;

    /// <summary>Rows a session needs.</summary>
    public static int SessionTokens(CaptureOptions options) => options.PromptTokens + options.OutputTokens + DraftRows;

    /// <summary>One document's tokens as they are sent: BOS first where the model has one, cut to the option's length.</summary>
    public static int[] Tokenize(TrustedModel model, CorpusDocument document, int maxTokens)
    {
        IEnumerable<int> ids = model.Tokenizer.Encode(document.Text, parseSpecial: true);
        if (model.Tokenizer.BosId is { } bos)
        {
            ids = ids.Prepend(bos);
        }

        return [.. ids.Take(maxTokens)];
    }

    /// <summary>Runs every document. <paramref name="noise"/> is the embedding noise in force for a document's session, or null.</summary>
    public async Task<IReadOnlyList<Transcript>> RunAsync(
        IReadOnlyList<CorpusDocument> documents, Func<CorpusDocument, EmbeddingNoise?>? noise = null, CancellationToken cancellationToken = default)
    {
        var transcripts = new List<Transcript>(documents.Count);
        foreach (CorpusDocument document in documents)
        {
            transcripts.Add(await RunAsync(document, noise?.Invoke(document), cancellationToken));
        }

        return transcripts;
    }

    /// <summary>Runs one document.</summary>
    public async Task<Transcript> RunAsync(CorpusDocument document, EmbeddingNoise? noise = null, CancellationToken cancellationToken = default)
    {
        int[] prompt = Tokenize(model, document, options.PromptTokens);
        int sessionTokens = SessionTokens(options);
        var view = new WorkerView(model.Config.HiddenSize, options.Wire, model.MiddleRange);
        var session = new SplitSession(model, new WireTap(model.CreateLocalMiddle(sessionTokens, 2 * sessionTokens), view), sessionTokens, noise);
        var truth = new TruthRecorder(DecoderCatalog.Create(options.Decoder, new DrafterContext()));
        await using (var generator = new TextGenerator(session, truth))
        {
            if (options.OutputTokens == 0)
            {
                await session.PrefillAsync(prompt, DecodingChunk, null, cancellationToken);
                await session.DrainAsync(cancellationToken);
            }
            else
            {
                var request = new GenerationOptions
                {
                    Decoding = new DecodingOptions
                    {
                        MaxTokens = options.OutputTokens,
                        Threshold = options.Threshold,
                        PrefillChunkRows = DecodingChunk,
                        StopAtEndOfTurn = false,
                    },
                };
                await foreach (DecodedToken token in generator.GenerateAsync(prompt, request, cancellationToken))
                {
                    // The recorder sees them.
                }
            }
        }

        return Label(document, view, prompt, truth);
    }

    private const int DecodingChunk = 64;

    private static Transcript Label(CorpusDocument document, WorkerView view, int[] prompt, TruthRecorder truth)
    {
        int rows = view.Rows.Length;
        var transcript = new Transcript
        {
            Document = document,
            View = view,
            Tokens = new int[rows],
            Kinds = new RowKind[rows],
            Emitted = new int[rows],
        };
        for (int row = 0; row < rows; row++)
        {
            // Prompt rows are the session's first and come in order.
            ulong id = view.Rows[row].Id;
            bool isPrompt = row < prompt.Length;
            transcript.Tokens[row] = isPrompt ? prompt[row] : truth.Tokens[id];
            transcript.Emitted[row] = truth.Emitted.GetValueOrDefault(id, -1);
            transcript.Kinds[row] = isPrompt ? RowKind.Prompt : transcript.Emitted[row] >= 0 ? RowKind.Output : RowKind.Draft;
        }

        return transcript;
    }
}
