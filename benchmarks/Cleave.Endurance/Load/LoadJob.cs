using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sampling;

namespace Cleave.Endurance.Load;

/// <summary>One piece of work, the same for every session: two turns of a conversation, and the tokens they give when run alone.</summary>
internal sealed record LoadJob(int[] Prompt, int[] Continuation, SamplingOptions Sampling)
{
    private const int TokensPerTurn = 24;

    /// <summary>Tokens of a run without any disturbance, unsplit.</summary>
    public int[] Expected { get; private set; } = [];

    /// <summary>The work: prompts of both kinds of sampling.</summary>
    public static LoadJob[] All(TrustedModel model)
    {
        string[] prompts =
        [
            "Name five musical instruments.", "Write a Python class for a stack with push and pop.", "Tell me a story about a brave mouse.",
            "What is the capital of France?", "List the days of the week as JSON.", "Explain why the sky is blue.",
            "Write a C# method that reverses a string.", "Count from one to twenty in words.",
        ];
        return [.. prompts.Select((text, i) => new LoadJob(
            model.Tokenizer.Encode(text, parseSpecial: false),
            model.Tokenizer.Encode(" And then?", parseSpecial: false),
            new SamplingOptions { Temperature = i % 2 == 0 ? 0 : 0.8, Seed = (ulong)(i + 1) }))];
    }

    /// <summary>Notes what an undisturbed run gives.</summary>
    public async Task PrepareAsync(TextGenerator solo, CancellationToken cancellationToken)
    {
        var tokens = new List<int>();
        await RunAsync(solo, tokens.Add, cancellationToken);
        Expected = [.. tokens];
    }

    /// <summary>Runs both turns.</summary>
    public async Task RunAsync(TextGenerator generator, Action<int> onToken, CancellationToken cancellationToken)
    {
        var options = new GenerationOptions
        {
            Sampling = Sampling,
            Decoding = new DecodingOptions { MaxTokens = TokensPerTurn, StopAtEndOfTurn = false, PrefillChunkRows = 8 },
        };
        int[] prompt = Prompt;
        for (int turn = 0; turn < 2; turn++)
        {
            var said = new List<int>(TokensPerTurn);
            await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, cancellationToken))
            {
                said.Add(token.Token);
                onToken(token.Token);
            }

            prompt = [.. prompt, .. said, .. Continuation];
        }
    }
}
