namespace Cleave.Architecture.Tests;

/// <summary>Which project may reference which (docs/ARCHITECTURE.md).</summary>
public sealed class ProjectRuleTests
{
    // A project that is not listed here has no place yet: decide on one, there and here.
    private static readonly Dictionary<string, string[]> Allowed = new(StringComparer.Ordinal)
    {
        ["Cleave.Compute"] = [],
        ["Cleave.Compute.Gpu"] = ["Cleave.Compute"],
        ["Cleave.Models"] = ["Cleave.Compute"],
        ["Cleave.Tokenization"] = [],
        ["Cleave.Engine"] = ["Cleave.Compute", "Cleave.Models"],
        ["Cleave.Protocol"] = [],
        ["Cleave.Inference"] = ["Cleave.Compute", "Cleave.Engine", "Cleave.Models", "Cleave.Protocol", "Cleave.Tokenization"],
        ["Cleave.Worker"] = ["Cleave.Compute", "Cleave.Compute.Gpu", "Cleave.Engine", "Cleave.Models", "Cleave.Protocol"],
        ["Cleave.Gateway"] = ["Cleave.Compute", "Cleave.Compute.Gpu", "Cleave.Engine", "Cleave.Inference", "Cleave.Models", "Cleave.Protocol", "Cleave.Tokenization"],
        ["Cleave.PrivacyLab"] = ["Cleave.Compute", "Cleave.Compute.Gpu", "Cleave.Engine", "Cleave.Inference", "Cleave.Models", "Cleave.Protocol", "Cleave.Tokenization"],
        ["Cleave.Cli"] =
        [
            "Cleave.Compute", "Cleave.Compute.Gpu", "Cleave.Engine", "Cleave.Gateway", "Cleave.Inference", "Cleave.Models", "Cleave.PrivacyLab", "Cleave.Protocol",
            "Cleave.Tokenization",
        ],
    };

    // Pointers are a privilege of those who compute.
    private static readonly string[] MayBeUnsafe = ["Cleave.Compute", "Cleave.Compute.Gpu", "Cleave.Models"];

    [Fact]
    public void EveryProjectReferencesOnlyWhatItMay()
    {
        Assert.NotEmpty(Repository.SourceProjects);
        foreach ((string project, string[] references) in Repository.SourceProjects)
        {
            Assert.True(Allowed.ContainsKey(project), $"{project} has no rule in this test");
            Assert.True(references.All(Allowed[project].Contains), $"{project} references {string.Join(", ", references.Except(Allowed[project]))}");
        }
    }

    [Fact]
    public void EverySourceProjectHasTestsAndIsInTheSolution()
    {
        string solution = Repository.Read("Cleave.slnx");
        foreach (string project in Repository.SourceProjects.Keys)
        {
            Assert.Contains($"{project}.csproj", solution, StringComparison.Ordinal);

            // The command line is tested as a process, from end to end.
            string tests = project == "Cleave.Cli" ? "Cleave.EndToEnd.Tests" : project + ".Tests";
            Assert.Contains($"{tests}.csproj", solution, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void OnlyThoseWhoComputeAllowUnsafeCode()
    {
        string[] unsafeProjects =
        [
            .. Repository.SourceProjects.Keys.Where(static project => Repository.Read($"src/{project}/{project}.csproj").Contains("<AllowUnsafeBlocks>true", StringComparison.Ordinal)),
        ];
        Assert.Contains("Cleave.Compute", unsafeProjects);
        Assert.Empty(unsafeProjects.Except(MayBeUnsafe));
    }
}
