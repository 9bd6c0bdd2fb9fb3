using System.Net;
using System.Security.Cryptography.X509Certificates;
using Cleave.Gateway.OpenAi;
using Cleave.Gateway.Security;
using Cleave.Gateway.Telemetry;
using Cleave.Gateway.Web;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Cleave.Gateway.Hosting;

/// <summary>The gateway as a web application.</summary>
public static class GatewayApp
{
    /// <summary>Builds it; the caller starts it. It takes no ownership of the backend's model and link.</summary>
    /// <param name="backend">What answers.</param>
    /// <param name="configuration">Settings; section <see cref="GatewayOptions.Section"/>.</param>
    /// <param name="configure">Changes services or logging before they are built, or null.</param>
    /// <exception cref="OptionsValidationException">A setting is out of range; every problem is named.</exception>
    public static WebApplication Create(GatewayBackend backend, IConfiguration configuration, Action<WebApplicationBuilder>? configure = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(GatewayApp).Assembly.GetName().Name });
        builder.Configuration.AddConfiguration(configuration);

        // 1. Settings, checked before anything listens.
        GatewayOptions options = ReadOptions(configuration);
        builder.Services.AddSingleton(options);

        // 2. Services.
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(backend);
        builder.Services.AddSingleton<ServedModel>();
        builder.Services.AddSingleton<GatewayMeter>();
        builder.Services.AddSingleton<WorkerWatch>().AddHostedService(static services => services.GetRequiredService<WorkerWatch>());
        builder.Services.AddSingleton<HostCheck>().AddSingleton<OriginCheck>().AddSingleton(new ApiKeyCheck(ReadKey(options)));
        builder.Services.AddSingleton<Guard>().AddSingleton<ErrorShape>().AddSingleton<BodyLimit>();
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(options.ShutdownSeconds));
        AddTelemetry(builder);
        Listen(builder, options);
        configure?.Invoke(builder);

        // 3. Routes, behind the guard.
        WebApplication app = builder.Build();
        app.UseMiddleware<BodyLimit>();
        app.UseMiddleware<ErrorShape>();
        app.UseMiddleware<Guard>();
        app.UseRouting();
        app.MapOpenAi();
        app.MapPrometheusScrapingEndpoint("/metrics");
        if (options.Page)
        {
            app.MapPage();
        }

        app.Lifetime.ApplicationStarted.Register(() => Announce(app, backend, options));
        return app;
    }

    /// <summary>The settings in a configuration, checked.</summary>
    /// <exception cref="OptionsValidationException">One is out of range; every problem is named.</exception>
    public static GatewayOptions ReadOptions(IConfiguration configuration)
    {
        var options = new GatewayOptions();
        configuration.GetSection(GatewayOptions.Section).Bind(options);
        ValidateOptionsResult[] results =
        [
            new DataAnnotationValidateOptions<GatewayOptions>(Options.DefaultName).Validate(Options.DefaultName, options),
            new GatewayOptionsCheck().Validate(Options.DefaultName, options),
        ];
        string[] problems = [.. results.SelectMany(static result => result.Failures ?? [])];
        return problems.Length == 0 ? options : throw new OptionsValidationException(Options.DefaultName, typeof(GatewayOptions), problems);
    }

    private static string? ReadKey(GatewayOptions options) =>
        options.ApiKeyFile is { } file ? File.ReadAllText(file).Trim() is { Length: >= 16 } key ? key : throw new OptionsValidationException(
            Options.DefaultName, typeof(GatewayOptions), [$"ApiKeyFile {file} holds fewer than 16 characters"])
        : options.ApiKey;

    private static void Listen(WebApplicationBuilder builder, GatewayOptions options)
    {
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxRequestBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = 16 << 10;
            kestrel.Listen(GatewayOptionsCheck.Address(options)!, options.Port, listen =>
            {
                if (options.TlsCertificate is { } certificate)
                {
                    listen.Protocols = HttpProtocols.Http1AndHttp2;
                    listen.UseHttps(X509Certificate2.CreateFromPemFile(certificate, options.TlsKey));
                }
            });
        });
        if (options.TlsCertificate is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }
    }

    private static void AddTelemetry(WebApplicationBuilder builder)
    {
        OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(static metrics => metrics.AddMeter(GatewayMeter.Name, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime").AddPrometheusExporter())
            .WithTracing(static traces => traces.AddSource(GatewayMeter.Name, "Microsoft.AspNetCore"));

        // The exporter's own variables say where to; without them nothing is sent anywhere.
        if (Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT") is { Length: > 0 })
        {
            telemetry.UseOtlpExporter();
        }
    }

    private static void Announce(WebApplication app, GatewayBackend backend, GatewayOptions options)
    {
        string address = string.Join(", ", app.Urls);
        app.Logger.Serving(backend.ModelName, address);
        if (options.TlsCertificate is null && !IPAddress.IsLoopback(GatewayOptionsCheck.Address(options)!))
        {
            app.Logger.PlainHttp(address);
        }
    }
}
