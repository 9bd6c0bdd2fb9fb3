using Cleave.Protocol.Grpc;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Tenants;
using Grpc.Core;
using Microsoft.Extensions.Primitives;

namespace Cleave.Worker.Hosting;

/// <summary>Every call shows a token before anything of it is read. A call without a valid one is answered with gRPC's own status.</summary>
internal sealed class TokenGate(TenantTable tenants, WorkerMetrics metrics, ILogger logger)
{
    private const string TenantItem = "tenant";

    /// <summary>The tenant that was let in.</summary>
    public static string TenantOf(HttpContext context) => (string)context.Items[TenantItem]!;

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        StringValues values = context.Request.Headers[WorkerMethods.TokenKey];
        string? token = values.Count == 1 && values[0] is { } value && value.StartsWith(WorkerMethods.TokenScheme, StringComparison.Ordinal)
            ? value[WorkerMethods.TokenScheme.Length..]
            : null;
        string? tenant = tenants.Authenticate(token);
        ConnectionAdmission.Ticket? ticket = context.Features.Get<ConnectionAdmission.Ticket>();
        if (tenant is null)
        {
            metrics.WrongToken();
            WorkerLog.WrongToken(logger, context.Connection.RemoteIpAddress?.ToString() ?? "?");
            ticket?.CountWrongToken();
            return Refuse(context, StatusCode.Unauthenticated, "a valid token is needed");
        }

        if (ticket?.Admit(tenant) is { } problem)
        {
            return Refuse(context, StatusCode.ResourceExhausted, problem);
        }

        context.Items[TenantItem] = tenant;
        return next(context);
    }

    private static Task Refuse(HttpContext context, StatusCode status, string message)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = ((int)status).ToString(System.Globalization.CultureInfo.InvariantCulture);
        context.Response.Headers["grpc-message"] = message;
        return Task.CompletedTask;
    }
}
