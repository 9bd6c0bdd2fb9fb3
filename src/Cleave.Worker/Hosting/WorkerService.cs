using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Connections;

namespace Cleave.Worker.Hosting;

/// <summary>gRPC calls to the endpoint.</summary>
internal sealed class WorkerService(WorkerEndpoint endpoint)
{
    /// <summary>Answers Describe.</summary>
    public Task<byte[]> Describe(byte[] request, ServerCallContext context)
    {
        HttpContext call = context.GetHttpContext();
        if (TokenGate.HopOf(call) is not null)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "a hop ticket is for one session"));
        }

        // Who asks for it is given the right to carry this connection on.
        if (call.Request.Headers.ContainsKey(WorkerMethods.MigrationKey) && call.Features.Get<MigratableConnection>()?.GiveKey(TokenGate.AccountOf(call)) is { } key)
        {
            call.Response.Headers[WorkerMethods.MigrationKey] = key.ToSecretString();
        }

        return Task.FromResult(DescriptionCodec.Write(endpoint.Describe(TokenGate.AccountOf(call).Name)));
    }

    /// <summary>Serves a stream.</summary>
    public async Task Session(IAsyncStreamReader<byte[]> requests, IServerStreamWriter<WorkerFrame> responses, ServerCallContext context)
    {
        context.GetHttpContext().Features.Get<MigratableConnection>()?.Fix();

        // Headers at once: the client learns that it was let in before it sends anything.
        await context.WriteResponseHeadersAsync([]).ConfigureAwait(false);
        try
        {
            HttpContext call = context.GetHttpContext();
            Func<CancellationToken, ValueTask<ReadOnlyMemory<byte>?>> receive = async cancellationToken =>
                await requests.MoveNext(cancellationToken).ConfigureAwait(false) ? (ReadOnlyMemory<byte>?)requests.Current : null;
            Func<WorkerFrame, CancellationToken, ValueTask> send = async (frame, cancellationToken) => await responses.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
            await (TokenGate.HopOf(call) is { } hop
                ? endpoint.ServeHopAsync(hop, receive, send, context.CancellationToken)
                : endpoint.ServeAsync(TokenGate.AccountOf(call), receive, send, context.CancellationToken)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException)
        {
            // The client is gone; its session waits for a resume.
        }
    }
}

/// <summary>Binds <see cref="WorkerService"/> without generated code.</summary>
internal sealed class WorkerServiceMethods : IServiceMethodProvider<WorkerService>
{
    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<WorkerService> context)
    {
        context.AddUnaryMethod(WorkerMethods.Describe, [], static (service, request, call) => service.Describe(request, call));
        context.AddDuplexStreamingMethod(WorkerMethods.WorkerSession, [], static (service, requests, responses, call) => service.Session(requests, responses, call));
    }
}
