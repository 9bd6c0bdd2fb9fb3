using System.ComponentModel.DataAnnotations;

namespace Cleave.Gateway.Hosting;

/// <summary>Settings of a gateway: section "Gateway" of cleave.json, or environment variables such as CLEAVE_GATEWAY__PORT.</summary>
public sealed class GatewayOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Gateway";

    /// <summary>Address to listen on. Anything but loopback needs <see cref="ApiKey"/>.</summary>
    [Required]
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>Port; 0 takes any free one.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8080;

    /// <summary>Key that clients must send as a bearer token; null asks for none.</summary>
    [MinLength(16, ErrorMessage = "ApiKey is shorter than 16 characters; take a random one, such as the output of `openssl rand -hex 24`")]
    public string? ApiKey { get; set; }

    /// <summary>File that holds the key, instead of <see cref="ApiKey"/>.</summary>
    public string? ApiKeyFile { get; set; }

    /// <summary>PEM file with a certificate; null serves plain HTTP.</summary>
    public string? TlsCertificate { get; set; }

    /// <summary>PEM file with its key.</summary>
    public string? TlsKey { get; set; }

    /// <summary>Names, beside the address listened on and localhost, under which clients may ask for this server.</summary>
    public IList<string> AllowedHosts { get; set; } = [];

    /// <summary>Origins of other sites whose pages may call the API, such as "https://chat.example.org"; none by default.</summary>
    public IList<string> AllowedOrigins { get; set; } = [];

    /// <summary>Name under which the API serves the model; null takes the file's.</summary>
    public string? ModelName { get; set; }

    /// <summary>Most bytes of a request body.</summary>
    [Range(1024, 64 << 20)]
    public int MaxRequestBytes { get; set; } = 2 << 20;

    /// <summary>Most sessions open at once.</summary>
    [Range(1, 4096)]
    public int MaxConversations { get; set; } = 64;

    /// <summary>Most requests waiting for a session; more are answered 429.</summary>
    [Range(0, 100_000)]
    public int MaxWaitingRequests { get; set; } = 256;

    /// <summary>How long running answers may go on once the server is told to stop.</summary>
    [Range(0, 3600)]
    public int ShutdownSeconds { get; set; } = 30;

    /// <summary>Serve the chat page at "/".</summary>
    public bool Page { get; set; } = true;
}
