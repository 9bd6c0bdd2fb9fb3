using System.Diagnostics;
using System.Reflection;
using System.Text;
using System.Xml.Linq;

namespace Cleave.Architecture.Tests;

/// <summary>The source tree this test was built from.</summary>
internal static class Repository
{
    /// <summary>Its root folder: the one with the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The build configuration of this test run, as folder names spell it.</summary>
    public static string Configuration { get; } =
        (typeof(Repository).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration ?? "Debug").ToLowerInvariant();

    /// <summary>Where a project of this build lies.</summary>
    public static string OutputOf(string project) => Path.Combine(Root, "artifacts", "bin", project, Configuration);

    /// <summary>Projects under src/, by name, with the projects they reference.</summary>
    public static IReadOnlyDictionary<string, string[]> SourceProjects { get; } = Directory
        .EnumerateFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories)
        .ToDictionary(static file => Path.GetFileNameWithoutExtension(file), References, StringComparer.Ordinal);

    /// <summary>Files git tracks (or would, were they added), relative to the root.</summary>
    public static IReadOnlyList<string> TrackedFiles { get; } = ListTracked();

    /// <summary>Text of a tracked file.</summary>
    public static string Read(string relativePath) => File.ReadAllText(Path.Combine(Root, relativePath), Encoding.UTF8);

    private static string[] References(string project) =>
    [
        .. XDocument.Load(project).Descendants("ProjectReference")
            .Where(static reference => (string?)reference.Attribute("ReferenceOutputAssembly") != "false")
            .Select(static reference => Path.GetFileNameWithoutExtension(((string)reference.Attribute("Include")!).Replace('\\', '/')))
            .Order(StringComparer.Ordinal),
    ];

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return at.FullName;
            }
        }

        throw new InvalidOperationException($"no Cleave.slnx above {AppContext.BaseDirectory}");
    }

    private static string[] ListTracked()
    {
        // -z: names as they are; untracked files count too, so that a test fails before the commit and not after.
        var start = new ProcessStartInfo("git", ["-C", Root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]) { RedirectStandardOutput = true };
        using Process git = Process.Start(start)!;
        string output = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        Assert.Equal(0, git.ExitCode);
        return [.. output.Split('\0', StringSplitOptions.RemoveEmptyEntries).Where(static file => File.Exists(Path.Combine(Root, file)))];
    }
}
