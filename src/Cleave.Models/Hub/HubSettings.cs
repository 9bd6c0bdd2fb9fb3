namespace Cleave.Models.Hub;

/// <summary>Which hub, who asks, and where files go: the environment variables that other tools of the hub read.</summary>
public sealed record HubSettings
{
    /// <summary>The hub ("HF_ENDPOINT").</summary>
    public Uri Endpoint { get; init; } = new("https://huggingface.co/");

    /// <summary>Access token ("HF_TOKEN", or the file "hf auth login" writes); null for none.</summary>
    public string? Token { get; init; }

    /// <summary>The hub's cache, shared with other tools ("HF_HUB_CACHE", "HF_HOME"/hub).</summary>
    public required string CacheDirectory { get; init; }

    /// <summary>Where parts of models for workers are kept ("CLEAVE_CACHE").</summary>
    public required string LayersDirectory { get; init; }

    /// <summary>True when the network must not be asked ("HF_HUB_OFFLINE").</summary>
    public bool Offline { get; init; }

    /// <summary>The settings of this process.</summary>
    /// <param name="variable">Reads a variable; null for the process's own.</param>
    /// <exception cref="HubException">HF_ENDPOINT is no address.</exception>
    public static HubSettings FromEnvironment(Func<string, string?>? variable = null)
    {
        variable ??= Environment.GetEnvironmentVariable;
        string? Read(string name) => variable(name) is { } value && !string.IsNullOrWhiteSpace(value) ? value.Trim() : null;

        string profile = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string caches = Read("XDG_CACHE_HOME") ?? Path.Combine(profile, ".cache");
        string home = Expand(Read("HF_HOME") ?? Path.Combine(caches, "huggingface"), profile);
        string address = Read("HF_ENDPOINT") ?? "https://huggingface.co";
        if (!Uri.TryCreate(address.TrimEnd('/') + "/", UriKind.Absolute, out Uri? endpoint) || endpoint.Scheme is not ("https" or "http") || endpoint.UserInfo.Length > 0)
        {
            throw new HubException($"HF_ENDPOINT is '{address}'; an address such as https://huggingface.co is expected");
        }

        return new HubSettings
        {
            Endpoint = endpoint,
            Token = Read("HF_TOKEN") ?? TokenFile(Read("HF_TOKEN_PATH") ?? Path.Combine(home, "token")),
            CacheDirectory = Path.GetFullPath(Expand(Read("HF_HUB_CACHE") ?? Path.Combine(home, "hub"), profile)),
            LayersDirectory = Path.GetFullPath(Expand(Read("CLEAVE_CACHE") ?? Path.Combine(caches, "cleave"), profile)),
            Offline = Read("HF_HUB_OFFLINE")?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE",
        };
    }

    private static string Expand(string path, string profile) => path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? profile + path[1..] : path;

    private static string? TokenFile(string path)
    {
        try
        {
            return File.Exists(path) && File.ReadAllText(path).Trim() is { Length: > 0 } token ? token : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HubException($"{path}: the access token cannot be read: {e.Message}", e);
        }
    }
}
