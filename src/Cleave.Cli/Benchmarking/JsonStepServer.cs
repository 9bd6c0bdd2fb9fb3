using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Cleave.Cli.Reports;
using Cleave.Engine;
using Cleave.Inference.Sessions;

namespace Cleave.Cli.Benchmarking;

/// <summary>
/// The naive worker of the optimisation ladder: one HTTP request per step, activations as base64 inside JSON, as the paper's first
/// prototype did. For measurement only: plain HTTP on loopback, one session.
/// </summary>
internal sealed class JsonStepServer : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly IMiddle _middle;
    private readonly Task _serving;

    public JsonStepServer(IMiddle middle)
    {
        _middle = middle;
        using (var probe = new TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            Port = ((IPEndPoint)probe.LocalEndpoint).Port;
        }

        _listener.Prefixes.Add($"http://127.0.0.1:{Port}/");
        _listener.Start();
        _serving = Task.Run(ServeAsync);
    }

    /// <summary>Where it listens, on loopback.</summary>
    public int Port { get; }

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _serving;
        _listener.Close();
        await _middle.DisposeAsync();
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return; // stopped
            }

            JsonStep step = (await JsonSerializer.DeserializeAsync(context.Request.InputStream, ReportJson.Output.JsonStep))!;
            TreeRow[] rows = [.. step.Ids.Zip(step.Parents, static (id, parent) => new TreeRow(id, parent))];
            byte[] bytes = Convert.FromBase64String(step.Hidden);
            var hidden = new float[bytes.Length / sizeof(float)];
            Buffer.BlockCopy(bytes, 0, hidden, 0, bytes.Length);
            await _middle.SubmitAsync(step.Keep, rows, hidden, CancellationToken.None);
            MiddleReply reply = await _middle.ReceiveAsync(CancellationToken.None);
            byte[] output = new byte[reply.Hidden.Length * sizeof(float)];
            Buffer.BlockCopy(reply.Hidden.ToArray(), 0, output, 0, output.Length);
            byte[] answer = JsonSerializer.SerializeToUtf8Bytes(
                new JsonStep(reply.RowIds.ToArray(), [], [], Convert.ToBase64String(output), reply.ComputeMs), ReportJson.Output.JsonStep);
            context.Response.ContentLength64 = answer.Length;
            await context.Response.OutputStream.WriteAsync(answer);
            context.Response.Close();
        }
    }
}

/// <summary>A step, or its answer, as JSON.</summary>
internal sealed record JsonStep(ulong[] Ids, ulong[] Parents, ulong[] Keep, string Hidden, double ComputeMs);
