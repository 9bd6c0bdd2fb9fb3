using System.Net;

namespace Cleave.Models.Hub;

/// <summary>What a hub's refusal means, and what to do about it.</summary>
internal static class HubRefusal
{
    /// <summary>The exception for an answer that is no success. The hub's own text is not repeated: it is a stranger's.</summary>
    public static HubException Of(HubSettings settings, HubName name, string? path, string revision, HttpResponseMessage response)
    {
        string code = response.Headers.TryGetValues("X-Error-Code", out IEnumerable<string>? values) ? values.FirstOrDefault() ?? "" : "";
        string page = new Uri(settings.Endpoint, name.Repository).ToString();
        string tokens = new Uri(settings.Endpoint, "settings/tokens").ToString();
        string file = path is null ? "" : $" ({path})";
        return new HubException((response.StatusCode, code) switch
        {
            (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, "GatedRepo") or (HttpStatusCode.Forbidden, _) => settings.Token is null
                ? $"{name.Repository}{file} is gated: accept its licence at {page}, make a token at {tokens}, and set HF_TOKEN to it"
                : $"{name.Repository}{file} is gated, and your HF_TOKEN has no access: accept its licence at {page} with the account of that token",
            (HttpStatusCode.Unauthorized, _) => settings.Token is null
                ? $"{name.Repository}{file} does not exist, or is private or gated: check the name at {page}; for a private or gated model accept its licence there and set HF_TOKEN to a token from {tokens}"
                : $"{settings.Endpoint.Host} does not accept your HF_TOKEN for {name.Repository}{file}: take a valid one from {tokens}, and check the name and the licence at {page}",
            (HttpStatusCode.NotFound, "RevisionNotFound") => $"{name.Repository} has no revision '{revision}': see {page}",
            (HttpStatusCode.NotFound, "EntryNotFound") when path is not null => $"{name.Repository} has no file '{path}' at {revision}: see {page}",
            (HttpStatusCode.NotFound, _) => path is null
                ? $"{settings.Endpoint.Host} has no model {name.Repository} (revision '{revision}'): check the name at {page}"
                : $"{name.Repository} has no file '{path}' at {revision}: see {page}",
            (HttpStatusCode.TooManyRequests, _) => $"{settings.Endpoint.Host} asks for patience (429): try again in some minutes; with HF_TOKEN the limits are higher",
            _ => $"{settings.Endpoint.Host} answered {(int)response.StatusCode} for {name.Repository}{file}: try again later",
        });
    }
}
