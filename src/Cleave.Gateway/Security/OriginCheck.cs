using Cleave.Gateway.Hosting;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.Security;

/// <summary>
/// Which pages may call the API: our own, and origins the settings name. Browsers send Origin with every request a page of
/// another site makes that could change something, so refusing others stops forged requests (CSRF) even without a key.
/// </summary>
internal sealed class OriginCheck(GatewayOptions options)
{
    private readonly HashSet<string> _allowed = new(options.AllowedOrigins.Select(static origin => origin.TrimEnd('/')), StringComparer.OrdinalIgnoreCase);

    /// <summary>True for requests of no page, of our own page, and of named origins.</summary>
    public bool Allows(HttpRequest request, out string? crossOrigin)
    {
        crossOrigin = null;
        string? origin = request.Headers.Origin;
        if (string.IsNullOrEmpty(origin))
        {
            // No Origin on plain GETs; Fetch Metadata still tells where those come from.
            return request.Headers["Sec-Fetch-Site"].ToString() is "" or "same-origin" or "none" || request.Headers["Sec-Fetch-Mode"] == "navigate";
        }

        if (string.Equals(origin, $"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        crossOrigin = origin;
        return _allowed.Contains(origin);
    }
}
