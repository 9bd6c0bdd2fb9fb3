using System.CommandLine;
using System.Net;
using Cleave.Compute;
using Cleave.Compute.Gpu;
using Cleave.Models;
using Cleave.Models.Hub;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Chaining;

namespace Cleave.Worker.Commands;

/// <summary>The root command: serve.</summary>
internal static class ServeCommand
{
    private const int DefaultKvTokens = 32_768;

    public static void AddTo(RootCommand root)
    {
        var model = new Option<string?>("--model") { Description = "GGUF file, directory of a Hugging Face checkpoint, or OWNER/NAME[:file] from the hub's cache; a middle-only export is enough" };
        var pull = new Option<HubName?>("--pull")
        {
            Description = "OWNER/NAME[:file]: fetch from a hub the layers of --layers, and nothing else of the model, and serve them",
            CustomParser = result =>
            {
                if (HubName.TryParse(result.Tokens[0].Value, out HubName? name))
                {
                    return name;
                }

                result.AddError($"'{result.Tokens[0].Value}' names no model of a hub: write OWNER/NAME or OWNER/NAME:file.");
                return null;
            },
        };
        var revision = new Option<string>("--revision") { Description = "Branch, tag or commit to --pull", DefaultValueFactory = _ => "main" };
        var layers = new Option<LayerRange?>("--layers")
        {
            Description = "Layers to run, a up to but not including b: a..b (default: all in the file)",
            CustomParser = result =>
            {
                if (LayerRange.TryParse(result.Tokens[0].Value, out LayerRange range) && range.Count > 0)
                {
                    return range;
                }

                result.AddError($"'{result.Tokens[0].Value}' is no range of layers: write a..b, such as 2..10 for layers 2 to 9.");
                return null;
            },
        };
        var weights = new Option<WeightPrecision>("--weights")
        {
            HelpName = WeightPrecisionText.Syntax,
            Description = "q8: quantise floating-point matrices when loading; clients have to do the same. packed: BF16 matrices in three quarters of their bytes on a CPU with AVX-512 VBMI, in memory of its own: the same bits, up to 1.4 times the speed where memory bounds it; each side for itself",
            CustomParser = result =>
            {
                try
                {
                    return WeightPrecisionText.Parse(result.Tokens[0].Value);
                }
                catch (FormatException e)
                {
                    result.AddError(e.Message);
                    return default;
                }
            },
        };
        var listen = new Option<IPEndPoint>("--listen")
        {
            Description = "Address and port to listen on; * is every interface, port 0 a free one. Clients that lost their connections are back a round trip sooner where this host allows TCP Fast Open: sysctl net.ipv4.tcp_fastopen=3",
            DefaultValueFactory = _ => new IPEndPoint(IPAddress.Loopback, 7707),
            CustomParser = result =>
            {
                if (ServeOptions.TryParseListen(result.Tokens[0].Value, out IPEndPoint? endPoint, out string? problem))
                {
                    return endPoint!;
                }

                result.AddError(problem!);
                return null!;
            },
        };
        var advertise = new Option<(string Host, int Port)?>("--advertise")
        {
            Description = "host:port that clients reach this worker at, for the pairing link; port 0 is the port listened on",
            CustomParser = result =>
            {
                if (PairingLink.TrySplitAddress(result.Tokens[0].Value, out string host, out int port, out string? problem, allowAnyPort: true))
                {
                    return (host, port);
                }

                result.AddError(problem!);
                return null;
            },
        };
        Option<int> kvTokens = Positive("--kv-tokens", "KV tokens of all sessions together: the hard cap on cache memory", DefaultKvTokens);
        var threads = new Option<int?>("--threads") { Description = "Threads to compute with (default: the physical processors)" };
        var device = new Option<string?>("--device") { Description = $"Where to compute: {DeviceSelector.Syntax}; auto is a CUDA GPU with enough free memory, else the CPU. `cleave devices` lists them" };
        device.Validators.Add(static result =>
        {
            try
            {
                _ = DeviceSelector.Parse(result.Tokens is [var token] ? token.Value : null);
            }
            catch (DeviceUnavailableException e)
            {
                result.AddError(e.Message);
            }
        });
        var kvType = new Option<ElementType?>("--kv-type", "--kv")
        {
            Description = "How keys and values are stored: f32, f16, bf16 or q8_0 (q8 for short; default: f16 on a GPU, f32 on a CPU). Clients see it in the kernel fingerprint",
            CustomParser = static result =>
            {
                if (Enum.TryParse(result.Tokens[0].Value is "q8" or "Q8" ? nameof(ElementType.Q8_0) : result.Tokens[0].Value, ignoreCase: true, out ElementType type)
                    && type is ElementType.F32 or ElementType.F16 or ElementType.BF16 or ElementType.Q8_0)
                {
                    return type;
                }

                result.AddError($"'{result.Tokens[0].Value}' is no type for keys and values; the types are f32, f16, bf16 and q8_0.");
                return null;
            },
        };
        Option<DirectoryInfo> keyDirectory = KeyDirectory.CreateOption();
        var linkFile = new Option<FileInfo?>("--link-file") { Description = "Write the pairing link to this file, readable by its owner alone, instead of printing it" };
        var ephemeral = new Option<bool>("--ephemeral") { Description = "A key and token for this run only; nothing is stored" };
        var newToken = new Option<bool>("--new-token") { Description = "Give the default tenant a new token; links printed before are then void" };
        var exitWithParent = new Option<bool>("--exit-with-parent") { Description = "Stop when standard input ends" };
        var child = new Option<bool>("--child") { Description = "Same as --ephemeral --exit-with-parent" };
        var idle = new Option<double>("--idle-minutes") { Description = "Close sessions idle for this long", DefaultValueFactory = _ => 30 };
        idle.Validators.Add(result =>
        {
            if (GivenNumber.Is(result, out double given) && given is not (> 0 and <= 100_000))
            {
                result.AddError("--idle-minutes must be above 0 and at most 100000.");
            }
        });
        Option<int> sessions = Positive("--max-sessions", "Sessions at once, over all tenants", new ServingLimits().MaxSessions);
        Option<int> rows = Positive("--max-rows", "Rows per step and per forward pass", new ServingLimits().MaxRowsPerStep, most: 65_536);
        var awake = new Option<double>("--awake-ms")
        {
            Description = "How long a GPU's compute thread spins around the moment a lone session's next step is due, once a pass: a step over a wide-area link then starts 0.1 ms sooner, for 2 to 4 ms of a core; 0 for never",
            DefaultValueFactory = _ => new ServingLimits().AwakeTime.TotalMilliseconds,
        };
        awake.Validators.Add(result =>
        {
            if (GivenNumber.Is(result, out double given) && given is not (>= 0 and <= 50))
            {
                result.AddError("--awake-ms must be from 0 to 50.");
            }
        });
        var next = new Option<NextWorkers>("--next-allow")
        {
            Description = "host:port,... of workers that rows may be passed on to when a client asks for a chain, as in their pairing links, or any; any lets every tenant make this machine connect wherever it likes (default: none; chains then pass through their client)",
            DefaultValueFactory = _ => NextWorkers.None,
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                if (text == "any")
                {
                    return NextWorkers.Any();
                }

                string[] addresses = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                foreach (string address in addresses)
                {
                    if (!PairingLink.TrySplitAddress(address, out _, out _, out string? problem))
                    {
                        result.AddError(problem!);
                        return NextWorkers.None;
                    }
                }

                return NextWorkers.At(addresses);
            },
        };
        var verbose = new Option<bool>("--verbose") { Description = "Log what happens to sessions and connections, on standard error" };
        var jsonLog = new Option<bool>("--json-log") { Description = "The same as --verbose, as one JSON object a line: every event names its session and tenant" };
        foreach (Option option in (Option[])[model, pull, revision, layers, weights, listen, advertise, kvTokens, threads, device, kvType, keyDirectory, linkFile, ephemeral, newToken, exitWithParent, child, idle, sessions, rows, awake, next, verbose, jsonLog])
        {
            root.Options.Add(option);
        }

        root.SetAction((parsed, cancellationToken) =>
        {
            string? file = parsed.GetValue(model);
            HubName? hub = parsed.GetValue(pull);
            if (string.IsNullOrEmpty(file) == (hub is null) || (hub is not null && parsed.GetValue(layers) is null))
            {
                Console.Error.WriteLine("--model FILE, or --pull OWNER/NAME with --layers a..b, is needed. See --help.");
                return Task.FromResult(1);
            }

            return WorkerHost.RunAsync(
                new ServeOptions
                {
                    Model = file ?? "",
                    Pull = hub,
                    Revision = parsed.GetValue(revision)!,
                    Layers = parsed.GetValue(layers),
                    Weights = parsed.GetValue(weights),
                    Listen = parsed.GetValue(listen)!,
                    Advertise = parsed.GetValue(advertise),
                    KvTokens = parsed.GetValue(kvTokens),
                    Threads = parsed.GetValue(threads),
                    Device = parsed.GetValue(device),
                    KvType = parsed.GetValue(kvType),
                    KeyDirectory = parsed.GetValue(keyDirectory)!,
                    LinkFile = parsed.GetValue(linkFile),
                    Ephemeral = parsed.GetValue(ephemeral) || parsed.GetValue(child),
                    NewToken = parsed.GetValue(newToken),
                    ExitWithParent = parsed.GetValue(exitWithParent) || parsed.GetValue(child),
                    Next = parsed.GetValue(next)!,
                    Verbose = parsed.GetValue(verbose) || parsed.GetValue(jsonLog),
                    JsonLog = parsed.GetValue(jsonLog),
                    Limits = new ServingLimits
                    {
                        MaxSessions = parsed.GetValue(sessions),
                        MaxRowsPerStep = parsed.GetValue(rows),
                        MaxRowsPerPass = parsed.GetValue(rows),
                        AwakeTime = TimeSpan.FromMilliseconds(parsed.GetValue(awake)),
                        IdleTimeout = TimeSpan.FromMinutes(parsed.GetValue(idle)),
                    },
                },
                cancellationToken);
        });
    }

    private static Option<int> Positive(string name, string description, int value, int most = int.MaxValue)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            if (GivenNumber.Is(result, out int given) && (given < 1 || given > most))
            {
                result.AddError($"{name} must be from 1 to {most}, not {given}.");
            }
        });
        return option;
    }
}
