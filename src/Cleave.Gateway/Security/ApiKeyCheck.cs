using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.Security;

/// <summary>Compares bearer tokens with the key, in constant time.</summary>
internal sealed class ApiKeyCheck(string? key)
{
    private readonly byte[]? _hash = key is null ? null : SHA256.HashData(Encoding.UTF8.GetBytes(key));

    /// <summary>True when a key is asked for.</summary>
    public bool IsRequired => _hash is not null;

    /// <summary>True when the request carries the key, or none is asked for.</summary>
    public bool Allows(HttpRequest request)
    {
        if (_hash is null)
        {
            return true;
        }

        const string scheme = "Bearer ";
        string header = request.Headers.Authorization.ToString();
        string given = header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) ? header[scheme.Length..].Trim() : request.Headers["X-Api-Key"].ToString();
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), _hash);
    }
}
