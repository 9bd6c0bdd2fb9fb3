using System.Reflection;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Cleave.Gateway.Web;

/// <summary>
/// The chat page: files inside this assembly, and nothing else. The content security policy lets it load from here and
/// connect here only, so that not even a fault in the page could send a chat elsewhere.
/// </summary>
internal static class Page
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private static readonly Dictionary<string, string> Types = new(StringComparer.Ordinal)
    {
        [".html"] = "text/html; charset=utf-8",
        [".css"] = "text/css; charset=utf-8",
        [".js"] = "text/javascript; charset=utf-8",
        [".svg"] = "image/svg+xml",
    };

    /// <summary>Maps the page at "/" and its parts beside it.</summary>
    public static void MapPage(this IEndpointRouteBuilder routes)
    {
        Assembly assembly = typeof(Page).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(static name => name.StartsWith("page/", StringComparison.Ordinal)))
        {
            using Stream stream = assembly.GetManifestResourceStream(name)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            string path = name == "page/index.html" ? "/" : name["page".Length..];
            string type = Types[Path.GetExtension(name)];
            string tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes))[..16]}\"";
            routes.MapMethods(path, ["GET", "HEAD"], context => SendAsync(context, bytes, type, tag));
        }
    }

    private static async Task SendAsync(HttpContext context, byte[] bytes, string type, string tag)
    {
        HttpResponse response = context.Response;
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XFrameOptions = "DENY";
        response.Headers.CacheControl = "no-cache"; // asks each time, and gets 304 while nothing changed
        response.Headers.ETag = tag;
        response.Headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()";
        response.ContentType = type;
        if (context.Request.Headers.IfNoneMatch == tag)
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.Body.WriteAsync(bytes, context.RequestAborted);
        }
    }
}
