using System.Text;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Tokenization;

namespace Cleave.Cli.Running;

/// <summary>A finished generation.</summary>
/// <param name="Text">Its text, control tokens left out.</param>
/// <param name="Tokens">Its ids.</param>
/// <param name="Statistics">What it took.</param>
/// <param name="RttMs">Round-trip time by ping.</param>
internal sealed record Answer(string Text, IReadOnlyList<int> Tokens, GenerationStatistics Statistics, double RttMs)
{
    /// <summary>Generates, showing each piece of text as it comes.</summary>
    /// <param name="generator">The conversation.</param>
    /// <param name="prompt">Token ids.</param>
    /// <param name="options">What to generate.</param>
    /// <param name="show">Called with each piece of text and whether its token had been drafted; or null.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<Answer> GenerateAsync(
        TextGenerator generator, int[] prompt, GenerationOptions options, Action<string, bool>? show, CancellationToken cancellationToken)
    {
        var tokens = new List<int>();
        var text = new StringBuilder();
        var detokenizer = new StreamingDetokenizer(generator.Session.Model.Tokenizer, showControl: false);
        void Add(string piece, bool drafted)
        {
            text.Append(piece);
            if (piece.Length > 0)
            {
                show?.Invoke(piece, drafted);
            }
        }

        await foreach (DecodedToken token in generator.GenerateAsync(prompt, options, cancellationToken))
        {
            tokens.Add(token.Token);
            Add(detokenizer.Append(token.Token), token.Drafted);
        }

        Add(detokenizer.Flush(), false);
        return new Answer(text.ToString(), tokens, generator.Statistics!, generator.RttMs);
    }
}
