using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Hosting;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Commands;

/// <summary>cleave-worker tenants add|list|revoke. A running worker follows within seconds.</summary>
internal static class TenantsCommand
{
    public static Command Create() => new("tenants", "Who may use this worker, and how much of it") { Add(), List(), Revoke() };

    private static Command Add()
    {
        var name = new Argument<string>("name") { Description = "Letters, digits, '-', '_' and '.'; an existing tenant gets a new token" };
        var address = new Option<string?>("--address") { Description = "host:port of the worker; prints a whole pairing link instead of fingerprint and token" };
        var defaults = new TenantQuota();
        Option<int> sessions = Quota("--sessions", "Sessions at once", defaults.Sessions);
        Option<int> streams = Quota("--streams", "Streams at once", defaults.Streams);
        Option<int> connections = Quota("--connections", "Connections at once", defaults.Connections);
        Option<int> kvTokens = Quota("--kv-tokens", "KV tokens at once, over all its sessions", defaults.KvTokens);
        Option<int> rowsPerSecond = Quota("--rows-per-second", "Rows computed per second; more wait their turn", defaults.RowsPerSecond);
        Option<DirectoryInfo> keyDirectory = KeyDirectory.CreateOption();
        var command = new Command("add", "Make a tenant, or give one a new token and quota") { name, address, sessions, streams, connections, kvTokens, rowsPerSecond, keyDirectory };
        command.SetAction(parsed => Guarded(() =>
        {
            string directory = parsed.GetValue(keyDirectory)!.FullName;
            string token = PairingLink.NewToken();
            using ECDsa key = WorkerKey.LoadOrCreate(directory);
            byte[] fingerprint = WorkerKey.Fingerprint(key);
            string? link = null;
            if (parsed.GetValue(address) is { } at)
            {
                if (!PairingLink.TrySplitAddress(at, out string host, out int port, out string? problem))
                {
                    throw new ArgumentException(problem);
                }

                link = new PairingLink(host, port, fingerprint, token).ToSecretString();
            }

            var quota = new TenantQuota
            {
                Sessions = parsed.GetValue(sessions),
                Streams = parsed.GetValue(streams),
                Connections = parsed.GetValue(connections),
                KvTokens = parsed.GetValue(kvTokens),
                RowsPerSecond = parsed.GetValue(rowsPerSecond),
            };
            new TenantFile(directory).Put(new Tenant(parsed.GetValue(name)!, TenantTable.HashToken(token), quota, TimeProvider.System.GetUtcNow()));
            Console.Error.WriteLine("The token is shown once; only its hash is stored. Put the worker's host:port before the #:");
            Console.Out.WriteLine(link ?? $"{PairingLink.Scheme}HOST:PORT#{PairingLink.FormatFingerprint(fingerprint)}:{token}");
        }));
        return command;
    }

    private static Command List()
    {
        Option<DirectoryInfo> keyDirectory = KeyDirectory.CreateOption();
        var command = new Command("list", "The tenants and their quotas; tokens are not shown, only their hashes are stored") { keyDirectory };
        command.SetAction(parsed => Guarded(() =>
        {
            Console.Out.WriteLine($"{"name",-24} {"since",-17} {"sessions",9} {"streams",8} {"connections",12} {"KV tokens",11} {"rows/s",11}");
            foreach (Tenant tenant in new TenantFile(parsed.GetValue(keyDirectory)!.FullName).Load().OrderBy(t => t.Name, StringComparer.Ordinal))
            {
                TenantQuota quota = tenant.Quota;
                Console.Out.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{tenant.Name,-24} {tenant.CreatedAt,-17:yyyy-MM-dd HH:mm} {quota.Sessions,9} {quota.Streams,8} {quota.Connections,12} {Number(quota.KvTokens),11} {Number(quota.RowsPerSecond),11}"));
            }
        }));
        return command;
    }

    private static Command Revoke()
    {
        var name = new Argument<string>("name") { Description = "Whose token to void; its sessions end" };
        Option<DirectoryInfo> keyDirectory = KeyDirectory.CreateOption();
        var command = new Command("revoke", "Remove a tenant") { name, keyDirectory };
        command.SetAction(parsed => Guarded(() =>
        {
            if (!new TenantFile(parsed.GetValue(keyDirectory)!.FullName).Remove(parsed.GetValue(name)!))
            {
                throw new ArgumentException($"There is no tenant {parsed.GetValue(name)}: see `cleave-worker tenants list`.");
            }
        }));
        return command;
    }

    private static string Number(int value) => value == int.MaxValue ? "-" : value.ToString(CultureInfo.InvariantCulture);

    private static Option<int> Quota(string name, string description, int value)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            if (GivenNumber.Is(result, out int given) && given < 1)
            {
                result.AddError($"{name} must be at least 1.");
            }
        });
        return option;
    }

    private static int Guarded(Action action)
    {
        try
        {
            action();
            return 0;
        }
        catch (Exception e) when (e is ArgumentException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}
