namespace Cleave.EndToEnd.Tests;

/// <summary>A draft model whose vocabulary is not its target's, in one token of thousands.</summary>
public sealed class DraftVocabularyTests
{
    [Fact]
    public async Task ADraftModelWithAnotherVocabularyIsRefusedByName()
    {
        // The bundled draft model with one of its tokens spelled differently. GGUF strings are their length in eight bytes, then their text.
        byte[] draft = await File.ReadAllBytesAsync(Path.Combine(Path.GetDirectoryName(Cli.Model)!, "cleave-demo-draft-4m.q8_0.gguf"));
        byte[] token = "<|user|>"u8.ToArray();
        byte[] stored = [.. BitConverter.GetBytes((long)token.Length), .. token];
        int at = draft.AsSpan().IndexOf(stored);
        Assert.True(at > 0, "the bundled vocabulary has a token <|user|>");
        draft[at + stored.Length - 1] = (byte)'x';
        string path = Path.Combine(Directory.CreateTempSubdirectory("cleave-draft-").FullName, "other.gguf");
        await File.WriteAllBytesAsync(path, draft);

        CliResult refused = (await Cli.RunAsync("run", "--prompt", "a", "--max-tokens", "2", "--draft", path)).Expect(1);
        CliResult without = (await Cli.RunAsync("run", "--prompt", "a", "--max-tokens", "2", "--draft", path, "--decoder", "suffix", "--json")).Expect(0);
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);

        Assert.Contains("token 1 is '<|user|x' in " + path, refused.Error, StringComparison.Ordinal);
        Assert.Contains("a draft model must share its target's vocabulary: give another with --draft FILE", refused.Error, StringComparison.Ordinal);
        Assert.Equal(2, without.Tokens.Length); // a decoder that does not draft with it does not mind
    }
}
