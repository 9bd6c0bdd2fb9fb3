using System.Text.RegularExpressions;

namespace Cleave.Architecture.Tests;

/// <summary>Rules about the text of the tree itself.</summary>
public sealed partial class SourceRuleTests
{
    private const long MaxTrackedBytes = 38_000_000;

    // Ask why at 400; past this there is no good answer.
    private const int MaxLines = 600;

    // What a privacy claim may never say (docs/THREAT-MODEL.md, "What Cleave does not claim").
    private static readonly string[] ForbiddenClaims = ["encrypted", "anonymous", "anonymised", "anonymized", "cannot be recovered", "can not be recovered", "raw text never leaves", "fully private", "zero-knowledge"];

    [Fact]
    public void TheTreeStaysSmall()
    {
        long bytes = Repository.TrackedFiles.Sum(static file => new FileInfo(Path.Combine(Repository.Root, file)).Length);
        Assert.InRange(bytes, 1, MaxTrackedBytes);
    }

    [Fact]
    public void NoSourceFileIsTooLongToRead()
    {
        string[] tooLong =
        [
            .. Repository.TrackedFiles.Where(static file => file.EndsWith(".cs", StringComparison.Ordinal))
                .Select(static file => (File: file, Lines: File.ReadLines(Path.Combine(Repository.Root, file)).Count()))
                .Where(static entry => entry.Lines > MaxLines)
                .Select(static entry => $"{entry.File}: {entry.Lines} lines"),
        ];
        Assert.Empty(tooLong);
    }

    [Fact]
    public void TypesAreNamedForWhatTheyAre()
    {
        string[] vague =
        [
            .. Repository.TrackedFiles.Where(static file => file.StartsWith("src/", StringComparison.Ordinal) && VagueName().IsMatch(Path.GetFileNameWithoutExtension(file))),
        ];
        Assert.Empty(vague);
    }

    [Fact]
    public void NothingIsLeftUnfinished()
    {
        string[] unfinished =
        [
            .. Repository.TrackedFiles.Where(static file => file.EndsWith(".cs", StringComparison.Ordinal) && !file.EndsWith("SourceRuleTests.cs", StringComparison.Ordinal))
                .Where(static file => Unfinished().IsMatch(Repository.Read(file))),
        ];
        Assert.Empty(unfinished);
    }

    [Fact]
    public void NoDocumentOrMessageMakesAForbiddenPrivacyClaim()
    {
        string[] claims =
        [
            .. Repository.TrackedFiles.Where(static file => IsSaidToUsers(file)).SelectMany(static file => Sentences(file)
                .Where(static entry => ForbiddenClaims.Any(claim => entry.Text.Contains(claim, StringComparison.OrdinalIgnoreCase)) && !SaysWhatIsNotClaimed(entry.Text))
                .Select(entry => $"{file}:{entry.Line}: {entry.Text.Trim()}")),
        ];
        Assert.Empty(claims);
    }

    private static bool IsSaidToUsers(string file) =>
        file.EndsWith(".md", StringComparison.Ordinal) || (file.StartsWith("src/", StringComparison.Ordinal) && Path.GetExtension(file) is ".cs" or ".html" or ".js");

    private static IEnumerable<(int Line, string Text)> Sentences(string file) => Repository.Read(file).Split('\n').Select(static (text, index) => (index + 1, text));

    // The one kind of sentence that may hold these words says that they are not claimed.
    private static bool SaysWhatIsNotClaimed(string line) => line.Contains("never says", StringComparison.Ordinal) || line.Contains("not claimed", StringComparison.Ordinal);

    [GeneratedRegex("(Manager|Helper|Helpers|Utils|Utility|Common|Impl)$")]
    private static partial Regex VagueName();

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|NotImplementedException)\b|Skip *= *""|Assert\.Skip\(")]
    private static partial Regex Unfinished();
}
