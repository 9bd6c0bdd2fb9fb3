using Cleave.Gateway.OpenAi;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.Security;

/// <summary>
/// Stands before everything else:
/// <list type="number">
/// <item>the name asked for is ours;</item>
/// <item>the page asking is ours or named;</item>
/// <item>the key is right, except for the page itself (which holds nothing) and /health.</item>
/// </list>
/// </summary>
internal sealed class Guard(HostCheck hosts, OriginCheck origins, ApiKeyCheck keys) : IMiddleware
{
    /// <inheritdoc />
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        HttpRequest request = context.Request;
        IHeaderDictionary headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";

        // 1. DNS rebinding.
        if (!hosts.Allows(request.Host))
        {
            throw new ApiException(421, $"this server does not answer for the host '{request.Host.Host}'; add it to AllowedHosts if it is yours", code: "host_not_allowed");
        }

        // 2. Other sites' pages.
        if (!origins.Allows(request, out string? crossOrigin))
        {
            throw new ApiException(403, "requests from other sites' pages are refused; add the origin to AllowedOrigins to let it in", code: "origin_not_allowed");
        }

        if (crossOrigin is not null)
        {
            headers.AccessControlAllowOrigin = crossOrigin;
            headers.Vary = "Origin";
            if (HttpMethods.IsOptions(request.Method) && request.Headers.ContainsKey("Access-Control-Request-Method"))
            {
                headers.AccessControlAllowMethods = "GET, POST";
                headers.AccessControlAllowHeaders = "authorization, content-type, x-api-key";
                headers.AccessControlMaxAge = "600";
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }
        }

        headers["Cross-Origin-Resource-Policy"] = crossOrigin is null ? "same-origin" : "cross-origin";

        // 3. The key.
        if (!IsOpen(request.Path) && !keys.Allows(request))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            throw new ApiException(401, "Incorrect API key provided, or none: send it as 'Authorization: Bearer KEY'", code: "invalid_api_key");
        }

        await next(context);
    }

    private static bool IsOpen(PathString path) =>
        !path.StartsWithSegments("/v1") && !path.StartsWithSegments("/metrics") && !path.StartsWithSegments("/cleave");
}
