using System.Diagnostics;

namespace Cleave.Gateway.Tests.Clients;

/// <summary>
/// Programs of others that drive the gateway: node with OpenAI's package, and Chromium. A test whose program is not installed is
/// skipped and says so; with CLEAVE_REQUIRE_CLIENTS=1 it fails instead.
/// </summary>
internal static class ClientPrograms
{
    private static readonly Lazy<Task<string?>> s_package = new(InstallPackageAsync);

    /// <summary>Where client.mjs and its package lie.</summary>
    public static string JavaScriptFolder { get; } = Path.Combine(DemoModel.Root, "tests", "Cleave.Gateway.Tests", "js");

    private static bool AreRequired => Environment.GetEnvironmentVariable("CLEAVE_REQUIRE_CLIENTS") is "1" or "true";

    /// <summary>Makes sure that node is there and its package installed, once for all tests.</summary>
    public static async Task RequireNodeAsync() => Require(await s_package.Value);

    /// <summary>The browser: CHROMIUM, or the first of the usual ones.</summary>
    public static string RequireChromium()
    {
        string? path = Environment.GetEnvironmentVariable("CHROMIUM") is { Length: > 0 } chosen
            ? File.Exists(chosen) ? chosen : null
            : Find("chromium") ?? Find("chromium-browser") ?? Find("google-chrome");
        Require(path is null ? "Chromium is not installed (apt-get install chromium, or CHROMIUM=its path)" : null);
        return path!;
    }

    private static void Require(string? problem)
    {
        if (problem is not null && AreRequired)
        {
            Assert.Fail($"{problem}; CLEAVE_REQUIRE_CLIENTS asks for it");
        }

        Assert.SkipWhen(problem is not null, problem ?? "");
    }

    /// <summary>Null, or why the package cannot be used.</summary>
    private static async Task<string?> InstallPackageAsync()
    {
        if (Find("node") is null || Find("npm") is not { } npm)
        {
            return "node and npm are not installed (apt-get install nodejs npm)";
        }

        // npm writes this file last: an installation that broke off leaves none, or that of another lock file.
        var installed = new FileInfo(Path.Combine(JavaScriptFolder, "node_modules", ".package-lock.json"));
        if (installed.Exists && installed.LastWriteTimeUtc >= File.GetLastWriteTimeUtc(Path.Combine(JavaScriptFolder, "package-lock.json")))
        {
            return null;
        }

        string said = "";
        for (int attempt = 0; attempt < 3; attempt++)
        {
            var start = new ProcessStartInfo(npm) { WorkingDirectory = JavaScriptFolder, RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
            foreach (string argument in (string[])["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            {
                start.ArgumentList.Add(argument);
            }

            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            said = await process.StandardError.ReadToEndAsync() + await output;
            await process.WaitForExitAsync();
            if (process.ExitCode == 0)
            {
                return null;
            }

            await Task.Delay(TimeSpan.FromSeconds(2 * (attempt + 1)));
        }

        return $"the npm package openai could not be installed (npm ci in {JavaScriptFolder}): {said.Trim()}";
    }

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);
}
