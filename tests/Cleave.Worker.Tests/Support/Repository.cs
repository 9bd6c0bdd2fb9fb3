namespace Cleave.Worker.Tests.Support;

/// <summary>Files of the repository that tests read.</summary>
internal static class Repository
{
    /// <summary>The directory that holds Cleave.slnx.</summary>
    public static string Root { get; } = FindRoot();

    public static string Demo => Path.Combine(Root, "models", "cleave-demo-24m.q8_0.gguf");

    private static string FindRoot()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Cleave.slnx")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException($"no Cleave.slnx above {AppContext.BaseDirectory}");
    }
}
