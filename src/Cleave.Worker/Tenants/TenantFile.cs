using System.Text.Json;
using System.Text.Json.Serialization;
using Cleave.Worker.Hosting;

namespace Cleave.Worker.Tenants;

/// <summary>The tenants of a key directory: tenants.json, readable by its owner alone, tokens hashed.</summary>
public sealed class TenantFile
{
    private const int MaxTenants = 10_000;
    private readonly string _path;

    /// <param name="keyDirectory">Made when missing.</param>
    public TenantFile(string keyDirectory) => _path = Path.Combine(PrivateFiles.EnsureDirectory(keyDirectory), "tenants.json");

    /// <summary>Changes whenever the file does.</summary>
    public DateTime Stamp => File.GetLastWriteTimeUtc(_path);

    /// <summary>The tenants; none when there is no file yet.</summary>
    /// <exception cref="InvalidDataException">The file is not what this program writes.</exception>
    public IReadOnlyList<Tenant> Load()
    {
        if (!File.Exists(_path))
        {
            return [];
        }

        try
        {
            Tenant[] tenants = JsonSerializer.Deserialize(File.ReadAllBytes(_path), TenantJson.Default.TenantArray) ?? [];
            foreach (Tenant tenant in tenants)
            {
                if (NameProblem(tenant.Name) is { } problem)
                {
                    throw new InvalidDataException($"{_path}: {problem}");
                }

                if (Convert.FromHexString(tenant.TokenSha256).Length != 32)
                {
                    throw new InvalidDataException($"{_path}: tenant {tenant.Name} has a token hash that is no SHA-256.");
                }
            }

            return tenants;
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw new InvalidDataException($"{_path}: not a tenant file ({e.Message}). Move it away to start over; every token is then void.", e);
        }
    }

    /// <summary>Adds a tenant, or gives an existing one a new token and quota.</summary>
    /// <exception cref="ArgumentException">The name is not acceptable.</exception>
    public void Put(Tenant tenant)
    {
        if (NameProblem(tenant.Name) is { } problem)
        {
            throw new ArgumentException(problem, nameof(tenant));
        }

        Tenant[] tenants = [.. Load().Where(t => t.Name != tenant.Name), tenant];
        if (tenants.Length > MaxTenants)
        {
            throw new ArgumentException($"{_path} holds {MaxTenants} tenants, the most there can be.", nameof(tenant));
        }

        Save(tenants);
    }

    /// <summary>Removes a tenant; false when there is none of that name.</summary>
    public bool Remove(string name)
    {
        IReadOnlyList<Tenant> before = Load();
        Tenant[] after = [.. before.Where(t => t.Name != name)];
        if (after.Length == before.Count)
        {
            return false;
        }

        Save(after);
        return true;
    }

    private static string? NameProblem(string? name) =>
        name is { Length: >= 1 and <= 64 } && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? null
            : "a tenant's name has 1 to 64 letters, digits, '-', '_' or '.'.";

    private void Save(Tenant[] tenants) => PrivateFiles.Write(_path, JsonSerializer.SerializeToUtf8Bytes(tenants, TenantJson.Default.TenantArray));
}

/// <summary>Source-generated JSON for <see cref="TenantFile"/>.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, MaxDepth = 8, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(Tenant[]))]
internal sealed partial class TenantJson : JsonSerializerContext;
