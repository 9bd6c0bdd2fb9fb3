using System.CommandLine;
using System.Globalization;
using Cleave.Cli.Arguments;
using Cleave.Cli.Running;
using Cleave.Cli.Terminal;
using Cleave.Gateway.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Cleave.Cli.Commands;

/// <summary>
/// <c>cleave serve</c>: the trusted side as a local server. Settings come, the later winning, from the defaults, cleave.json, environment
/// variables (CLEAVE_GATEWAY__PORT, ...) and the command line.
/// </summary>
internal sealed class ServeCommand : TaughtCommand
{
    private readonly Option<int?> _port = new("--port") { HelpName = "N", Description = "Port to listen on (default: 8080; 0 takes a free one)" };
    private readonly Option<string> _host = new("--host") { HelpName = "ADDRESS", Description = "Address to listen on (default: 127.0.0.1, this machine only; any other needs an API key)" };
    private readonly Option<FileInfo> _keyFile = new("--api-key-file") { HelpName = "FILE", Description = "File with the API key clients must send (or set CLEAVE_GATEWAY__APIKEY)" };
    private readonly Option<string> _name = new("--model-name") { HelpName = "NAME", Description = "Name under which the API serves the model (default: the file's)" };
    private readonly Option<bool> _noPage = new("--no-page") { Description = "Serve the API without the chat page" };
    private readonly Option<int?> _conversations = new("--conversations") { HelpName = "N", Description = "Most conversations open at once (default: 64)" };
    private readonly Option<FileInfo> _config = new("--config") { HelpName = "FILE", Description = "Settings file (default: cleave.json here, if there is one)" };
    private readonly Option<string> _logFormat = new("--log") { HelpName = "FORMAT", Description = "Log lines on standard error: text or json", DefaultValueFactory = static _ => "text" };
    private readonly DecoderArgument _decoder = new();
    private readonly SplitArguments _split;
    private readonly PrivacyArguments _privacy;

    public ServeCommand()
        : base("serve", "Run an OpenAI-compatible server and a chat page over the split")
    {
        _logFormat.AcceptOnlyFromAmong("text", "json");
        foreach (Option option in (Option[])[_port, _host, _keyFile, _name, _noPage, _conversations, _config, _logFormat, _decoder])
        {
            Options.Add(option);
        }

        _split = new SplitArguments(this);
        _privacy = new PrivacyArguments(this, audits: false);
        SetAction(RunAsync);
    }

    /// <inheritdoc />
    public override IReadOnlyList<(string Line, string Says)> Examples =>
    [
        ("cleave serve", "the bundled model at http://127.0.0.1:8080, with a worker process of its own"),
        ("cleave serve --worker-file worker.link --port 9000", "over a worker elsewhere"),
        ("cleave serve --local", "unsplit: nothing leaves this machine"),
        ("cleave serve --host 0.0.0.0 --api-key-file key.txt", "for other machines too; put TLS before it"),
    ];

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        // 1. Settings.
        IConfigurationRoot configuration = Configure(parsed);
        parsed = WithSettings(parsed, configuration.GetSection("Split"));
        GatewayOptions options = GatewayApp.ReadOptions(configuration);

        // 2. The split.
        using var status = new StatusLine();
        SplitSettings settings = _split.Read(parsed) with { Privacy = _privacy.Read(parsed), Sessions = options.MaxConversations, RestartWorker = true };
        await using SplitHost host = await SplitHost.StartAsync(settings, status.Say, cancellationToken, status.Note);
        GatewayBackend backend = await host.BackendAsync(parsed.GetValue(_decoder)!, cancellationToken);
        status.Clear();

        // 3. The server.
        await using WebApplication app = GatewayApp.Create(backend, configuration, builder => Log(builder, configuration, parsed.GetValue(_logFormat) == "json"));
        await app.StartAsync(cancellationToken);
        Console.Out.WriteLine(string.Join('\n', app.Urls));
        status.Note(backend.PrivacyVerdict);
        try
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // 4. Answers under way may end; a second Ctrl-C does not wait.
            status.Say("stopping: waiting for the answers under way");
            await app.StopAsync(CancellationToken.None);
            status.Clear();
        }

        return ExitCode.Success;
    }

    private IConfigurationRoot Configure(ParseResult parsed)
    {
        var arguments = new Dictionary<string, string?>();
        void Set(string key, string? value)
        {
            if (value is not null)
            {
                arguments[$"{GatewayOptions.Section}:{key}"] = value;
            }
        }

        Set(nameof(GatewayOptions.Port), parsed.GetValue(_port)?.ToString(CultureInfo.InvariantCulture));
        Set(nameof(GatewayOptions.Host), parsed.GetValue(_host));
        Set(nameof(GatewayOptions.ApiKeyFile), parsed.GetValue(_keyFile)?.FullName);
        Set(nameof(GatewayOptions.ModelName), parsed.GetValue(_name));
        Set(nameof(GatewayOptions.MaxConversations), parsed.GetValue(_conversations)?.ToString(CultureInfo.InvariantCulture));
        Set(nameof(GatewayOptions.Page), parsed.GetValue(_noPage) ? "false" : null);
        FileInfo? file = parsed.GetValue(_config);
        try
        {
            return new ConfigurationBuilder()
                .AddJsonFile(Path.GetFullPath(file?.FullName ?? "cleave.json"), optional: file is null)
                .AddEnvironmentVariables("CLEAVE_")
                .AddInMemoryCollection(arguments)
                .Build();
        }
        catch (Exception exception) when (exception is InvalidDataException or FileNotFoundException)
        {
            throw new CliException(exception.InnerException is null ? exception.Message : $"{exception.Message} {exception.InnerException.Message}");
        }
    }

    /// <summary>Adds options from the settings that the command line does not give: "Split": {"model": "M.gguf", "head": 4}.</summary>
    private ParseResult WithSettings(ParseResult parsed, IConfigurationSection section)
    {
        var added = new List<string>();
        foreach (IConfigurationSection setting in section.GetChildren())
        {
            string name = "--" + setting.Key.ToLowerInvariant();
            Option option = Options.FirstOrDefault(candidate => candidate.Name == name) ?? throw new CliException(
                $"the settings hold Split:{setting.Key}, and serve has no option {name}", "cleave serve --help lists them");
            if (parsed.GetResult(option) is null or { Implicit: true })
            {
                added.AddRange(setting.Value is { } value ? [name, value] : setting.GetChildren().SelectMany(child => (string[])[name, child.Value ?? ""]));
            }
        }

        if (added.Count == 0)
        {
            return parsed;
        }

        ParseResult whole = parsed.RootCommandResult.Command.Parse([.. parsed.Tokens.Select(static token => token.Value), .. added]);
        return whole.Errors.Count == 0 ? whole : throw new CliException($"the settings' section Split: {whole.Errors[0].Message}");
    }

    private static void Log(WebApplicationBuilder builder, IConfiguration configuration, bool json)
    {
        builder.Logging.AddConfiguration(configuration.GetSection("Logging"));
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("OpenTelemetry", LogLevel.Warning);
        _ = json
            ? builder.Logging.AddJsonConsole(static console => console.UseUtcTimestamp = true)
            : builder.Logging.AddSimpleConsole(static console => console.SingleLine = true);
        builder.Services.Configure<ConsoleLoggerOptions>(static console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    }
}
