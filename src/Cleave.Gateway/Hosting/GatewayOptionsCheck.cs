using System.Net;
using Microsoft.Extensions.Options;

namespace Cleave.Gateway.Hosting;

/// <summary>What data annotations cannot say.</summary>
internal sealed class GatewayOptionsCheck : IValidateOptions<GatewayOptions>
{
    /// <inheritdoc />
    public ValidateOptionsResult Validate(string? name, GatewayOptions options)
    {
        var problems = new List<string>();
        if (Address(options) is not { } address)
        {
            problems.Add($"Host is '{options.Host}'; it must be an address such as 127.0.0.1, 0.0.0.0 or ::1, or localhost");
        }
        else if (!IPAddress.IsLoopback(address) && options.ApiKey is null && options.ApiKeyFile is null)
        {
            problems.Add($"listening on {options.Host} lets others in: give an API key (ApiKey, ApiKeyFile or the environment variable CLEAVE_GATEWAY__APIKEY), or listen on 127.0.0.1");
        }

        if (options.ApiKey is not null && options.ApiKeyFile is not null)
        {
            problems.Add("ApiKey and ApiKeyFile exclude each other");
        }

        if (options.ApiKeyFile is { } file && !File.Exists(file))
        {
            problems.Add($"ApiKeyFile {file} does not exist");
        }

        if ((options.TlsCertificate is null) != (options.TlsKey is null))
        {
            problems.Add("TlsCertificate and TlsKey belong together: give both PEM files, or neither");
        }

        foreach (string origin in options.AllowedOrigins)
        {
            if (!Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) || uri.GetLeftPart(UriPartial.Authority) != origin.TrimEnd('/'))
            {
                problems.Add($"AllowedOrigins holds '{origin}'; an origin is a scheme and a host, such as https://chat.example.org");
            }
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    /// <summary>The address to listen on; null when the setting is none.</summary>
    internal static IPAddress? Address(GatewayOptions options) =>
        options.Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(options.Host, out IPAddress? address) ? address : null;
}
