using System.CommandLine;

namespace Cleave.Worker.Commands;

/// <summary>Where a worker keeps its key and tenants.</summary>
internal static class KeyDirectory
{
    public static Option<DirectoryInfo> CreateOption() => new("--key-dir")
    {
        Description = "Directory of the worker's key and tenants, readable by its owner alone",
        DefaultValueFactory = _ => new DirectoryInfo(Default()),
    };

    private static string Default() =>
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "cleave", "worker");
}
