using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.Json;

namespace Cleave.Architecture.Tests;

/// <summary>
/// The worker can touch no text: nothing that could turn tokens into words, or read the ends of a model through the trusted
/// side's code, is among the assemblies it is made of. Checked on what was built, not on what was meant.
/// </summary>
public sealed class TrustBoundaryTests
{
    private static readonly string[] Forbidden = ["Cleave.Tokenization", "Cleave.Inference", "Cleave.Cli", "Cleave.Gateway", "Cleave.PrivacyLab", "Microsoft.ML.Tokenizers"];

    public static TheoryData<string> WorkerFolders =>
    [
        Repository.OutputOf("Cleave.Worker"),
        Path.Combine(Repository.OutputOf("Cleave.Cli"), "worker"),
    ];

    [Theory]
    [MemberData(nameof(WorkerFolders))]
    public void TheWorkersFolderHoldsNoForbiddenAssembly(string folder)
    {
        string[] files = [.. Directory.EnumerateFiles(folder, "*.dll", SearchOption.AllDirectories).Select(static path => Path.GetFileNameWithoutExtension(path))];
        Assert.Contains("cleave-worker", files);
        Assert.Contains("Cleave.Engine", files);
        Assert.DoesNotContain(files, IsForbidden);
    }

    [Theory]
    [MemberData(nameof(WorkerFolders))]
    public void NoAssemblyTheWorkerReachesIsForbidden(string folder)
    {
        // The closure of references from the executable, through every assembly that lies beside it.
        var reached = new HashSet<string>(StringComparer.Ordinal);
        var open = new Queue<string>(["cleave-worker"]);
        while (open.TryDequeue(out string? name))
        {
            string path = Path.Combine(folder, name + ".dll");
            if (!reached.Add(name) || !File.Exists(path))
            {
                continue;
            }

            foreach (string reference in ReferencesOf(path))
            {
                open.Enqueue(reference);
            }
        }

        Assert.Contains("Cleave.Protocol", reached);
        Assert.DoesNotContain(reached, IsForbidden);
    }

    [Fact]
    public void TheWorkersDependencyManifestNamesNoForbiddenLibrary()
    {
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.OutputOf("Cleave.Worker"), "cleave-worker.deps.json")));
        string[] libraries = [.. manifest.RootElement.GetProperty("libraries").EnumerateObject().Select(static library => library.Name.Split('/')[0])];
        Assert.Contains("Cleave.Models", libraries);
        Assert.DoesNotContain(libraries, IsForbidden);
    }

    [Fact]
    public void TheTrustedSideDoesNotLoadTheWorker()
    {
        // The CLI meets its worker as a process only.
        string folder = Repository.OutputOf("Cleave.Cli");
        Assert.DoesNotContain("cleave-worker", ReferencesOf(Path.Combine(folder, "cleave.dll")));
        Assert.False(File.Exists(Path.Combine(folder, "cleave-worker.dll")));
    }

    private static bool IsForbidden(string assembly) => Forbidden.Contains(assembly, StringComparer.OrdinalIgnoreCase);

    private static string[] ReferencesOf(string path)
    {
        using FileStream file = File.OpenRead(path);
        using var image = new PEReader(file);
        MetadataReader metadata = image.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }
}
