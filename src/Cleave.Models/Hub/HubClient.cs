using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Hub;

/// <summary>
/// Talks to a hub. The token goes to the hub's own origin and nowhere else, never in the clear but to this machine; redirects are
/// followed by hand, so that each is judged.
/// </summary>
internal sealed class HubClient : IDisposable
{
    private const int MaxHops = 6;
    private const int MaxInfoBytes = 32 << 20;

    // A server that is silent for this long is gone.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(60);

    private readonly HubSettings _settings;
    private readonly HttpClient _http;

    public HubClient(HubSettings settings)
    {
        if (settings.Offline)
        {
            throw new HubException("HF_HUB_OFFLINE is set, so nothing is fetched; unset it to pull");
        }

        _settings = settings;
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(30),
            UseCookies = false,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("cleave", "0.1"));
    }

    /// <summary>Files of a repository at a revision.</summary>
    /// <exception cref="HubException">No such repository or revision, no access, or an answer that makes no sense.</exception>
    public async Task<RepositoryInfo> InfoAsync(HubName name, string revision, CancellationToken cancellationToken)
    {
        var uri = new Uri(_settings.Endpoint, $"api/models/{name.Repository}/revision/{Uri.EscapeDataString(revision)}?blobs=true");
        (HttpResponseMessage response, _) = await SendAsync(HttpMethod.Get, uri, null, stayHome: false, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.NotFound && revision == "main" && Header(response, "X-Error-Code") is null)
        {
            // Some mirrors know the model's own address only.
            response.Dispose();
            uri = new Uri(_settings.Endpoint, $"api/models/{name.Repository}?blobs=true");
            (response, _) = await SendAsync(HttpMethod.Get, uri, null, stayHome: false, cancellationToken).ConfigureAwait(false);
        }

        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw HubRefusal.Of(_settings, name, null, revision, response);
            }

            byte[] json = await BodyAsync(response, MaxInfoBytes, uri, cancellationToken).ConfigureAwait(false);
            return ReadInfo(uri, json);
        }
    }

    /// <summary>Size, checksum and whereabouts of a file.</summary>
    /// <exception cref="HubException">No such file, no access, or an answer that makes no sense.</exception>
    public async Task<RemoteFile> FileAsync(HubName name, string commit, string path, CancellationToken cancellationToken)
    {
        var uri = new Uri(_settings.Endpoint, $"{name.Repository}/resolve/{commit}/{HubPath.Escape(path)}");
        (HttpResponseMessage response, Linked linked) = await SendAsync(HttpMethod.Head, uri, null, stayHome: true, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode is HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented)
        {
            // Without HEAD, the headers of a GET whose body is not read.
            response.Dispose();
            (response, linked) = await SendAsync(HttpMethod.Get, uri, null, stayHome: true, cancellationToken).ConfigureAwait(false);
        }

        using (response)
        {
            bool away = IsRedirect(response);
            if (!away && !response.IsSuccessStatusCode)
            {
                throw HubRefusal.Of(_settings, name, path, commit, response);
            }

            string? etag = linked.Etag ?? response.Headers.ETag?.Tag;
            long? size = linked.Size ?? (away ? null : response.Content.Headers.ContentLength);
            string checksum = (etag ?? "").Replace("W/", "", StringComparison.Ordinal).Trim('"');
            if (!BlobChecksum.IsOne(checksum))
            {
                throw new HubException($"{name.Repository}: the hub's etag of {path} is '{checksum}', which is no SHA-256 and no git checksum; this hub cannot be pulled from");
            }

            return new RemoteFile
            {
                Repository = name,
                Commit = commit,
                Path = path,
                Etag = checksum,
                Size = size is >= 0 ? size.Value : throw new HubException($"{name.Repository}: the hub does not say how long {path} is"),
                Location = away ? Target(response, linked.At) : linked.At,
            };
        }
    }

    /// <summary>Opens bytes [from, from + length) of a file, or all of it from <paramref name="from"/> 0 without a length.</summary>
    /// <remarks>An answer of 200 means that the server ignored the range.</remarks>
    /// <exception cref="HubException">The hub refuses.</exception>
    /// <exception cref="HttpRequestException">A fault worth another try.</exception>
    public async Task<HttpResponseMessage> OpenAsync(RemoteFile file, long from, long? length, CancellationToken cancellationToken)
    {
        RangeHeaderValue? range = length is { } bytes ? new RangeHeaderValue(from, from + bytes - 1) : null;
        for (bool again = false; ; again = true)
        {
            (HttpResponseMessage response, _) = await SendAsync(HttpMethod.Get, file.Location, range, stayHome: false, cancellationToken).ConfigureAwait(false);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            using (response)
            {
                if (response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout || (int)response.StatusCode >= 500)
                {
                    throw new HttpRequestException($"{file.Location.Host} answered {(int)response.StatusCode}", null, response.StatusCode);
                }

                // A signature that ran out: the hub gives a new one.
                if (again || IsHome(file.Location) || response.StatusCode is not (HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized or HttpStatusCode.NotFound))
                {
                    throw HubRefusal.Of(_settings, file.Repository, file.Path, file.Commit, response);
                }
            }

            file.Location = (await FileAsync(file.Repository, file.Commit, file.Path, cancellationToken).ConfigureAwait(false)).Location;
        }
    }

    public void Dispose() => _http.Dispose();

    internal static async Task<byte[]> BodyAsync(HttpResponseMessage response, int maxBytes, Uri uri, CancellationToken cancellationToken)
    {
        using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        using var body = new MemoryStream();
        byte[] buffer = new byte[81920];
        int read;
        while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            if (body.Length + read > maxBytes)
            {
                throw new HubException($"{uri}: the answer is longer than {maxBytes} bytes; it is not a hub's");
            }

            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    /// <summary>True for the hub's own origin, over TLS or within this machine.</summary>
    internal static bool MayHaveToken(Uri uri, Uri endpoint) => SameOrigin(uri, endpoint) && (uri.Scheme == Uri.UriSchemeHttps || uri.IsLoopback);

    /// <summary>True for a redirect that is followed: over TLS, or in the clear when the hub itself is.</summary>
    internal static bool MayFollow(Uri target, Uri endpoint) => target.UserInfo.Length == 0
        && (target.Scheme == Uri.UriSchemeHttps || (target.Scheme == Uri.UriSchemeHttp && endpoint.Scheme == Uri.UriSchemeHttp));

    private static bool IsRedirect(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther
            or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    private static bool SameOrigin(Uri a, Uri b) => a.Scheme == b.Scheme && a.Port == b.Port && string.Equals(a.IdnHost, b.IdnHost, StringComparison.OrdinalIgnoreCase);

    private static RepositoryInfo ReadInfo(Uri uri, byte[] json)
    {
        JsonElement root;
        try
        {
            root = JsonFile.Parse(uri.ToString(), json);
        }
        catch (ModelFormatException e)
        {
            throw new HubException(e.Message, e);
        }

        if (!root.TryGetProperty("sha", out JsonElement sha) || sha.ValueKind != JsonValueKind.String || !HubPath.IsCommit(sha.GetString()!)
            || !root.TryGetProperty("siblings", out JsonElement siblings) || siblings.ValueKind != JsonValueKind.Array)
        {
            throw new HubException($"{uri}: the answer lacks the commit or the list of files; it is not a hub's");
        }

        var files = new List<(string, long?)>();
        foreach (JsonElement sibling in siblings.EnumerateArray())
        {
            if (sibling.ValueKind != JsonValueKind.Object || !sibling.TryGetProperty("rfilename", out JsonElement path) || path.ValueKind != JsonValueKind.String)
            {
                throw new HubException($"{uri}: a file of the list has no name");
            }

            if (!HubPath.IsSafe(path.GetString()!))
            {
                throw new HubException($"{uri}: the hub lists a file named {path.GetRawText()}, which could lead out of the cache; nothing was fetched");
            }

            long? size = sibling.TryGetProperty("size", out JsonElement bytes) && bytes.ValueKind == JsonValueKind.Number && bytes.TryGetInt64(out long stated) ? stated : null;
            files.Add((path.GetString()!, size));
        }

        return new RepositoryInfo(sha.GetString()!, files);
    }

    /// <summary>Sends a request and follows redirects: all of them, or with <paramref name="stayHome"/> those within the hub's origin.</summary>
    private async Task<(HttpResponseMessage Response, Linked Linked)> SendAsync(
        HttpMethod method, Uri uri, RangeHeaderValue? range, bool stayHome, CancellationToken cancellationToken)
    {
        string? etag = null;
        long? size = null;
        for (int hop = 0; hop < MaxHops; hop++)
        {
            using var request = new HttpRequestMessage(method, uri);
            request.Headers.Range = range;
            request.Headers.AcceptEncoding.ParseAdd("identity");
            if (_settings.Token is { } token && MayHaveToken(uri, _settings.Endpoint))
            {
                // Without validation: a token's odd character must not appear in an exception.
                request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
            }

            HttpResponseMessage response = await AnswerAsync(request, cancellationToken).ConfigureAwait(false);
            etag ??= Header(response, "X-Linked-Etag");
            size ??= Header(response, "X-Linked-Size") is { } text && long.TryParse(text, out long linked) ? linked : null;
            if (!IsRedirect(response))
            {
                return (response, new Linked(etag, size, uri));
            }

            Uri next;
            try
            {
                next = Target(response, uri);
            }
            catch (HubException)
            {
                response.Dispose();
                throw;
            }

            if (stayHome && !IsHome(next))
            {
                return (response, new Linked(etag, size, uri));
            }

            response.Dispose();
            uri = next;
        }

        throw new HubException($"{uri.Host} redirects in a circle; stopped after {MaxHops} steps");
    }

    private async Task<HttpResponseMessage> AnswerAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(s_silence);
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"{request.RequestUri!.Host} did not answer for {s_silence.TotalSeconds:F0} s", e);
        }
    }

    private bool IsHome(Uri uri) => SameOrigin(uri, _settings.Endpoint);

    private Uri Target(HttpResponseMessage response, Uri from)
    {
        Uri? target = response.Headers.Location is { } location ? new Uri(from, location) : null;
        return target is not null && MayFollow(target, _settings.Endpoint)
            ? target
            : throw new HubException($"{from.Host} redirects to '{target?.GetLeftPart(UriPartial.Authority)}', which is not followed: only https is, from a hub on https");
    }

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;

    /// <summary>What a chain of redirects said of the file, and where it ended.</summary>
    private readonly record struct Linked(string? Etag, long? Size, Uri At);
}
