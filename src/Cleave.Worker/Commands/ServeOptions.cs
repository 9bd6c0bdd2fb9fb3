using System.Net;
using Cleave.Compute;
using Cleave.Models;
using Cleave.Models.Hub;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Chaining;

namespace Cleave.Worker.Commands;

/// <summary>What the command line asked of a worker, checked.</summary>
internal sealed record ServeOptions
{
    /// <summary>File, directory or name in the cache; not used when <see cref="Pull"/> is set.</summary>
    public required string Model { get; init; }

    /// <summary>The model to fetch <see cref="Layers"/> of, or null.</summary>
    public HubName? Pull { get; init; }

    /// <summary>Revision of <see cref="Pull"/>.</summary>
    public string Revision { get; init; } = "main";

    public LayerRange? Layers { get; init; }

    /// <summary>What loading does to the matrices.</summary>
    public WeightPrecision Weights { get; init; }

    public required IPEndPoint Listen { get; init; }

    /// <summary>Host and port for the pairing link when they are not those listened on; port 0 means the one listened on.</summary>
    public (string Host, int Port)? Advertise { get; init; }

    public int KvTokens { get; init; }

    public int? Threads { get; init; }

    /// <summary>Device name; null is auto.</summary>
    public string? Device { get; init; }

    /// <summary>Storage of keys and values; null takes the device's preference.</summary>
    public ElementType? KvType { get; init; }

    public required DirectoryInfo KeyDirectory { get; init; }

    public FileInfo? LinkFile { get; init; }

    public bool Ephemeral { get; init; }

    public bool NewToken { get; init; }

    public bool ExitWithParent { get; init; }

    public bool Verbose { get; init; }

    /// <summary>Events as JSON lines instead of text.</summary>
    public bool JsonLog { get; init; }

    /// <summary>Workers that rows may be passed on to.</summary>
    public NextWorkers Next { get; init; } = NextWorkers.None;

    public required ServingLimits Limits { get; init; }

    /// <summary>Reads "host:port" of an address to listen on: an IP address, "localhost", or "*" for every interface.</summary>
    public static bool TryParseListen(string text, out IPEndPoint? endPoint, out string? problem)
    {
        endPoint = null;
        if (text.StartsWith("*:", StringComparison.Ordinal))
        {
            text = "[::]" + text[1..];
        }

        if (!PairingLink.TrySplitAddress(text, out string host, out int port, out problem, allowAnyPort: true))
        {
            return false;
        }

        IPAddress? address = host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(host, out IPAddress? parsed) ? parsed : null;
        if (address is null)
        {
            problem = $"'{host}' is no address of this machine: give an IP address, localhost, or * for every interface.";
            return false;
        }

        endPoint = new IPEndPoint(address, port);
        return true;
    }
}
