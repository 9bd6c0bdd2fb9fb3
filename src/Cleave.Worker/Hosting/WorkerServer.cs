using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Sockets;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Cleave.Worker.Hosting;

/// <summary>A <see cref="WorkerEndpoint"/> behind Kestrel: HTTP/2 and TLS 1.3 alone, one port, no configuration from outside.</summary>
public sealed class WorkerServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly ConnectionAdmission _admission;
    private readonly ConnectionMigration _migration;

    private WorkerServer(WebApplication application, ConnectionAdmission admission, ConnectionMigration migration, int port)
    {
        _application = application;
        _admission = admission;
        _migration = migration;
        Port = port;
    }

    /// <summary>Port in use.</summary>
    public int Port { get; }

    /// <summary>Connections that have shown no valid token yet.</summary>
    internal int Strangers => _admission.Strangers;

    /// <summary>Connections kept without a TCP connection.</summary>
    internal int KeptConnections => _migration.Kept;

    /// <summary>Connections that may be carried on.</summary>
    internal int MovableConnections => _migration.Expected;

    /// <summary>Starts serving.</summary>
    /// <param name="endpoint">The worker; disposed by the caller, before the server so that clients are told.</param>
    /// <param name="certificate">Shown to clients, who know its key.</param>
    /// <param name="listen">Address; port 0 takes a free one.</param>
    /// <param name="limits">Caps.</param>
    /// <param name="timeProvider">Clock of the connection deadlines.</param>
    /// <param name="logging">Where logs go; nowhere when null.</param>
    /// <param name="cancellationToken">Stops the start.</param>
    /// <exception cref="IOException">The address is in use or not this machine's.</exception>
    public static async Task<WorkerServer> StartAsync(
        WorkerEndpoint endpoint,
        X509Certificate2 certificate,
        IPEndPoint listen,
        ServingLimits limits,
        TimeProvider? timeProvider = null,
        ILoggerFactory? logging = null,
        CancellationToken cancellationToken = default)
    {
        TimeProvider time = timeProvider ?? TimeProvider.System;

        // Empty: no appsettings.json, no environment variables, no command line.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "cleave-worker" });
        if (logging is not null)
        {
            builder.Services.AddSingleton(logging);
        }

        builder.Services.AddLogging();
        ILogger logger = logging?.CreateLogger("Cleave.Worker") ?? Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance;
        var admission = new ConnectionAdmission(limits, time, logger);
        var migration = new ConnectionMigration(limits, endpoint.Metrics, time, logger);
        var gate = new TokenGate(endpoint, logger);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;

            // The admission counts TCP connections; here one counts that was carried on over another as well.
            kestrel.Limits.MaxConcurrentConnections = (2L * limits.MaxConnections) + limits.MaxKeptConnections;

            // A client keeps a connection in reserve as long as its session may last; strangers have a deadline of their own.
            kestrel.Limits.KeepAliveTimeout = limits.IdleTimeout;
            kestrel.Limits.RequestHeadersTimeout = limits.AuthenticationTimeout;
            kestrel.Limits.MaxRequestHeadersTotalSize = 8 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 32;
            kestrel.Limits.Http2.MaxStreamsPerConnection = 64;
            kestrel.Limits.Http2.InitialStreamWindowSize = WorkerMethods.StreamWindowBytes;
            kestrel.Limits.Http2.InitialConnectionWindowSize = WorkerMethods.ConnectionWindowBytes;
            kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(20);
            kestrel.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
            kestrel.Listen(listen, options =>
            {
                options.Protocols = HttpProtocols.Http2;
                options.Use(admission.Middleware);
                options.Use(migration.Middleware);
                options.UseHttps(https =>
                {
                    https.ServerCertificate = certificate;
                    https.SslProtocols = SslProtocols.Tls13;
                    https.HandshakeTimeout = limits.HandshakeTimeout;
                });
            });
        });
        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = endPoint =>
        {
            // Clients that connect again may greet with their SYN, where the host's operator allows it.
            Socket listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
            FastOpen.Accept(listener, limits.MaxUnauthenticatedConnections);
            return listener;
        });
        builder.Services.AddRouting();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = endpoint.MaxFrameBytes;
            grpc.MaxSendMessageSize = null;
            grpc.CompressionProviders = [];
            grpc.EnableDetailedErrors = false;
        });
        builder.Services.AddSingleton(endpoint);
        builder.Services.AddSingleton<WorkerService>();
        builder.Services.AddSingleton<IServiceMethodProvider<WorkerService>, WorkerServiceMethods>();

        WebApplication application = builder.Build();
        application.Use(next => context => gate.InvokeAsync(context, next));
        application.MapGrpcService<WorkerService>();
        try
        {
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await application.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        string address = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new WorkerServer(application, admission, migration, new Uri(address).Port);
    }

    /// <summary>Stops listening and closes what is left.</summary>
    public async ValueTask DisposeAsync()
    {
        _migration.Dispose();
        using var brief = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _application.StopAsync(brief.Token).ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
    }
}
