namespace Cleave.Cli.Running;

/// <summary>The models that come with the program: beside it when published, in models/ of the repository when built.</summary>
internal static class BundledModels
{
    /// <summary>File name of the demo model.</summary>
    public const string DemoFile = "cleave-demo-24m.q8_0.gguf";

    /// <summary>File name of its draft model.</summary>
    public const string DraftFile = "cleave-demo-draft-4m.q8_0.gguf";

    /// <summary>Path of the demo model.</summary>
    /// <exception cref="CliException">It is not there.</exception>
    public static string Demo => Find(DemoFile) ?? throw new CliException(
        $"the bundled model {DemoFile} was found neither beside the program ({AppContext.BaseDirectory}) nor in a models/ folder above it",
        "give a model with --model FILE.gguf");

    /// <summary>True for the name of a bundled file that is there.</summary>
    public static bool IsOne(string file) => file is DemoFile or DraftFile && Find(file) is not null;

    /// <summary>Path of a bundled file, or null.</summary>
    public static string? Find(string file)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string path = Path.Combine(at.FullName, "models", file);
            if (File.Exists(path))
            {
                return path;
            }
        }

        return null;
    }
}
