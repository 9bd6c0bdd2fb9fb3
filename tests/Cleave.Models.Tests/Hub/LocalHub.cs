using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace Cleave.Models.Tests.Hub;

/// <summary>A hub in this process: one server for the hub, another host for the bytes of its large files.</summary>
internal sealed class LocalHub : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly WebApplication _hub;
    private readonly WebApplication _storage;

    private LocalHub(WebApplication hub, WebApplication storage)
    {
        _hub = hub;
        _storage = storage;
    }

    /// <summary>A request it got.</summary>
    public sealed record Seen(bool ToStorage, string Method, string Path, long? From, long? To, string? Authorization);

    public Uri Address => new(_hub.Urls.Single() + "/");

    public ConcurrentQueue<Seen> Requests { get; } = new();

    /// <summary>Files by path; those of <see cref="Small"/> are git's, all others large and kept on the other host.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    public HashSet<string> Small { get; } = [];

    /// <summary>Names that the list of files has besides.</summary>
    public List<string> AlsoListed { get; } = [];

    /// <summary>The token that is needed, or null.</summary>
    public string? Token { get; set; }

    /// <summary>Status and X-Error-Code instead of an answer of the hub.</summary>
    public (int Status, string Code)? Refuses { get; set; }

    /// <summary>True for a mirror that knows neither HEAD nor revisions, and has no other host for large files.</summary>
    public bool IsPlainMirror { get; set; }

    /// <summary>Looks at a request to the storage first; true when it has answered.</summary>
    public Func<HttpContext, string, byte[], Task<bool>>? Storage { get; set; }

    /// <summary>Changes what the hub says of a file.</summary>
    public Action<IHeaderDictionary>? Describes { get; set; }

    public static async Task<LocalHub> StartAsync()
    {
        LocalHub? self = null;
        WebApplication hub = Server(context => self!.AnswerAsync(context));
        WebApplication storage = Server(context => self!.StoreAsync(context));
        self = new LocalHub(hub, storage);
        await hub.StartAsync();
        await storage.StartAsync();
        return self;
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _storage.DisposeAsync();
    }

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    // Git's own name for a blob; nothing is trusted on the word of it here.
#pragma warning disable CA5350
    public static string GitSha1(byte[] bytes) => Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
#pragma warning restore CA5350

    /// <summary>Puts the files of a folder on the hub; those of no more than a few kilobytes are small.</summary>
    public void AddFolder(string folder)
    {
        foreach (string path in Directory.EnumerateFiles(folder))
        {
            Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
            if (path.EndsWith(".json", StringComparison.Ordinal))
            {
                Small.Add(Path.GetFileName(path));
            }
        }
    }

    private static WebApplication Server(RequestDelegate answer)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        app.Run(answer);
        return app;
    }

    private void Record(HttpContext context, bool storage)
    {
        RangeItemHeaderValue? range = RangeOf(context);
        Requests.Enqueue(new Seen(storage, context.Request.Method, context.Request.Path, range?.From, range?.To, context.Request.Headers.Authorization));
    }

    private static RangeItemHeaderValue? RangeOf(HttpContext context) => context.Request.GetTypedHeaders().Range?.Ranges.Single();

    private Task AnswerAsync(HttpContext context)
    {
        Record(context, storage: false);
        IHeaderDictionary headers = context.Response.Headers;
        string path = context.Request.Path.Value!;
        if (Refuses is { } refusal)
        {
            headers["X-Error-Code"] = refusal.Code;
            context.Response.StatusCode = refusal.Status;
            return Task.CompletedTask;
        }

        if (Token is not null && context.Request.Headers.Authorization != "Bearer " + Token)
        {
            headers["X-Error-Code"] = context.Request.Headers.Authorization.Count == 0 ? "RepoNotFound" : "GatedRepo";
            context.Response.StatusCode = context.Request.Headers.Authorization.Count == 0 ? 401 : 403;
            return Task.CompletedTask;
        }

        if (IsPlainMirror && (context.Request.Method == "HEAD" || path.Contains("/revision/", StringComparison.Ordinal)))
        {
            context.Response.StatusCode = context.Request.Method == "HEAD" ? 405 : 404;
            return Task.CompletedTask;
        }

        if (path is "/api/models/tiny/model/revision/main" || (IsPlainMirror && path is "/api/models/tiny/model"))
        {
            var siblings = new JsonArray([.. Files.Keys.Concat(AlsoListed).Select(file => new JsonObject { ["rfilename"] = file, ["size"] = Files.GetValueOrDefault(file)?.Length ?? 0 })]);
            return context.Response.WriteAsync(new JsonObject { ["id"] = "tiny/model", ["sha"] = Commit, ["siblings"] = siblings }.ToJsonString());
        }

        string resolve = $"/tiny/model/resolve/{Commit}/";
        if (!path.StartsWith(resolve, StringComparison.Ordinal) || !Files.TryGetValue(path[resolve.Length..], out byte[]? bytes))
        {
            headers["X-Error-Code"] = path.StartsWith(resolve, StringComparison.Ordinal) ? "EntryNotFound" : path.Contains("/revision/", StringComparison.Ordinal) && path.Contains("tiny/model", StringComparison.Ordinal) ? "RevisionNotFound" : "RepoNotFound";
            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        }

        string file = path[resolve.Length..];
        headers["X-Repo-Commit"] = Commit;
        if (IsPlainMirror || Small.Contains(file))
        {
            headers.ETag = Small.Contains(file) ? $"\"{GitSha1(bytes)}\"" : $"W/\"{Sha256(bytes)}\"";
            Describes?.Invoke(headers);
            return SendAsync(context, bytes);
        }

        headers["X-Linked-Etag"] = $"\"{Sha256(bytes)}\"";
        headers["X-Linked-Size"] = bytes.Length.ToString();
        headers.Location = $"{_storage.Urls.Single()}/{Uri.EscapeDataString(file)}?signature=good";
        Describes?.Invoke(headers);
        context.Response.StatusCode = 302;
        return Task.CompletedTask;
    }

    private async Task StoreAsync(HttpContext context)
    {
        Record(context, storage: true);
        string file = Uri.UnescapeDataString(context.Request.Path.Value![1..]);
        byte[] bytes = Files[file];
        if (Storage is null || !await Storage(context, file, bytes))
        {
            await SendAsync(context, bytes);
        }
    }

    private static async Task SendAsync(HttpContext context, byte[] bytes)
    {
        int from = 0;
        int length = bytes.Length;
        if (RangeOf(context) is { From: { } first, To: { } last })
        {
            from = (int)first;
            length = (int)(Math.Min(last, bytes.Length - 1) - first + 1);
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {first}-{first + length - 1}/{bytes.Length}";
        }

        context.Response.ContentLength = length;
        if (context.Request.Method != "HEAD")
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(from, length));
        }
    }
}
