namespace Cleave.EndToEnd.Tests;

/// <summary>The README's first command.</summary>
public sealed class DemoCommandTests
{
    [Theory]
    [InlineData("")]
    [InlineData("--temperature 0.8 --seed 3")]
    public async Task TheDemoEndsWithIdenticalTokensAndTheHonestLine(string sampling)
    {
        CliResult result = await Cli.RunAsync(
            ["demo", "--prompts", "2", "--max-tokens", "20", "--wan", "6ms", .. sampling.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);
        result.Expect(0);
        Assert.Matches("identical .* yes ", result.Output);
        Assert.Contains("the operator of the worker can reconstruct this conversation", result.Output, StringComparison.Ordinal);
        Assert.Contains("tokens per round trip", result.Output, StringComparison.Ordinal);
    }
}
