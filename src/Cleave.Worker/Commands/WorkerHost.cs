using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Cleave.Compute.Gpu;
using Cleave.Models;
using Cleave.Models.Hub;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Hosting;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Worker.Commands;

/// <summary>
/// One run of the worker:
/// <list type="number">
/// <item>its key and tenants;</item>
/// <item>the layers, and no other tensors;</item>
/// <item>the server;</item>
/// <item>the pairing link, once it is ready;</item>
/// <item>until Ctrl-C or the parent's end: clients are told, then it stops.</item>
/// </list>
/// </summary>
internal static class WorkerHost
{
    private const string DefaultTenant = "default";
    private static readonly TimeSpan s_graceful = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_goodbye = TimeSpan.FromMilliseconds(100);

    public static async Task<int> RunAsync(ServeOptions options, CancellationToken interrupted)
    {
        CancellationToken parentGone = options.ExitWithParent ? ParentWatch.Start(s_graceful) : CancellationToken.None;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(interrupted, parentGone);
        try
        {
            await ServeAsync(options, stop.Token).ConfigureAwait(false);
            return 0;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is ModelFormatException or HubException or DeviceUnavailableException or GpuMemoryException or InvalidDataException or IOException or UnauthorizedAccessException or NotSupportedException or SocketException or CryptographicException)
        {
            await Console.Error.WriteLineAsync(e is IOException && e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException
                ? $"{options.Listen} is in use: give another port with --listen, or 0 for a free one."
                : e.Message).ConfigureAwait(false);
            return 1;
        }
    }

    private static async Task ServeAsync(ServeOptions options, CancellationToken stop)
    {
        using ILoggerFactory logging = LoggerFactory.Create(builder => (options.JsonLog
                ? builder.AddJsonConsole(console => console.TimestampFormat = "O")
                : builder.AddSimpleConsole(console => console.SingleLine = true))
            .AddFilter("Microsoft", LogLevel.Error)
            .AddFilter("Grpc", LogLevel.Error)
            .SetMinimumLevel(options.Verbose ? LogLevel.Information : LogLevel.Error)
            .Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace));

        // 1. Key and tenants.
        using ECDsa key = options.Ephemeral ? WorkerKey.Create() : WorkerKey.LoadOrCreate(options.KeyDirectory.FullName);
        var tenants = new TenantTable();
        TenantFile? file = options.Ephemeral ? null : new TenantFile(options.KeyDirectory.FullName);
        string? token = IssueToken(options, tenants, file);
        await using IAsyncDisposable? watch = file is null ? null : new TenantWatch(file, tenants, TimeProvider.System, logging.CreateLogger("Cleave.Worker"));

        // 2. Layers.
        if (options.Pull is { } name)
        {
            options = options with { Model = await LayerFetch.RunAsync(name, options.Layers!.Value, options.Revision, stop).ConfigureAwait(false) };
        }

        using LoadedWorker loaded = await Task.Run(() => LoadedWorker.Load(options, Console.Error.WriteLine), stop).WaitAsync(stop).ConfigureAwait(false);
        WorkerModel model = loaded.Model;
        if (loaded.MemoryLine is { } memory)
        {
            await Console.Error.WriteLineAsync(memory).ConfigureAwait(false);
        }

        if (model.Notice is { } notice)
        {
            await Console.Error.WriteLineAsync(notice).ConfigureAwait(false);
        }

        // 3. Server. The endpoint is disposed first, so that clients hear why their sessions end.
        using var certificate = WorkerKey.Certify(key, TimeProvider.System);
        await using var endpoint = new WorkerEndpoint(model, tenants, options.Limits, TimeProvider.System, logging.CreateLogger("Cleave.Worker"), options.Next);
        await using WorkerServer server = await WorkerServer.StartAsync(
            endpoint, certificate, options.Listen, options.Limits, TimeProvider.System, logging, stop).ConfigureAwait(false);

        // 4. Link.
        await AnnounceAsync(options, server.Port, WorkerKey.Fingerprint(key), token, model).ConfigureAwait(false);

        // 5. Until told to stop.
        try
        {
            await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(false);
        }
        finally
        {
            await endpoint.DisposeAsync().ConfigureAwait(false);

            // The goodbyes are on their way; the connections should outlive them.
            await Task.Delay(s_goodbye, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>The token to show, or null when the only one that could be shown was shown before: it is stored hashed.</summary>
    private static string? IssueToken(ServeOptions options, TenantTable tenants, TenantFile? file)
    {
        IReadOnlyList<Tenant> stored = file?.Load() ?? [];
        tenants.Replace(stored);
        string? token = TokenOfLinkFile(options, tenants);
        if (token is not null && !options.NewToken)
        {
            return token;
        }

        if (stored.Count > 0 && !options.NewToken)
        {
            return null;
        }

        token = PairingLink.NewToken();
        TenantQuota quota = stored.FirstOrDefault(t => t.Name == DefaultTenant)?.Quota ?? (file is null ? WholeWorker(options) : new TenantQuota());
        var tenant = new Tenant(DefaultTenant, TenantTable.HashToken(token), quota, TimeProvider.System.GetUtcNow());
        file?.Put(tenant);
        tenants.Replace(file?.Load() ?? [tenant]);
        return token;
    }

    /// <summary>A worker that stores nothing has one tenant for as long as it runs, who may use all of it.</summary>
    private static TenantQuota WholeWorker(ServeOptions options) => new()
    {
        Sessions = options.Limits.MaxSessions,
        Streams = options.Limits.MaxSessions,
    };

    /// <summary>A link file written before holds the token still, if it is valid still.</summary>
    private static string? TokenOfLinkFile(ServeOptions options, TenantTable tenants) =>
        options.LinkFile is { Exists: true, Length: < 4096 } file
        && PairingLink.TryParse(File.ReadAllText(file.FullName), out PairingLink? link, out _)
        && tenants.Authenticate(link!.Token) is not null
            ? link.Token
            : null;

    private static async Task AnnounceAsync(ServeOptions options, int port, byte[] fingerprint, string? token, WorkerModel model)
    {
        (string host, int linkPort) = Address(options, port);
        await Console.Error.WriteLineAsync(
            $"Serving layers {model.Stack.Range} of {model.Config.Name} on {options.Listen.Address} port {port}, {model.Pool.Capacity} KV tokens, kernels {model.KernelFingerprint}.").ConfigureAwait(false);
        if (token is null)
        {
            await Console.Error.WriteLineAsync(
                $"Links given out before stay valid (key {PairingLink.FormatFingerprint(fingerprint)}). Their tokens are stored hashed and cannot be shown again: --new-token replaces the default one, `cleave-worker tenants add NAME` makes another.").ConfigureAwait(false);
            return;
        }

        string link = new PairingLink(host, linkPort, fingerprint, token).ToSecretString();
        if (options.LinkFile is { } file)
        {
            PrivateFiles.Write(file.FullName, System.Text.Encoding.UTF8.GetBytes(link + "\n"));
            await Console.Error.WriteLineAsync($"The pairing link is in {file.FullName}.").ConfigureAwait(false);
            return;
        }

        await Console.Out.WriteLineAsync(link).ConfigureAwait(false);
        await Console.Out.FlushAsync().ConfigureAwait(false);
    }

    private static (string Host, int Port) Address(ServeOptions options, int port)
    {
        if (options.Advertise is { } advertised)
        {
            return (advertised.Host, advertised.Port == 0 ? port : advertised.Port);
        }

        // Every interface is no address to connect to: the machine's name is the best guess, --advertise the remedy.
        IPAddress address = options.Listen.Address;
        bool any = address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
        return (any ? Dns.GetHostName() : address.ToString(), port);
    }
}
