using Cleave.Protocol.Frames;
using Cleave.Protocol.Grpc;
using Cleave.Worker.Diagnostics;
using Cleave.Worker.Tenants;
using Grpc.Core;
using Microsoft.Extensions.Primitives;

namespace Cleave.Worker.Hosting;

/// <summary>Every call shows a token, or another worker's hop ticket, before anything of it is read. A call without a valid one is answered with gRPC's own status.</summary>
internal sealed class TokenGate(WorkerEndpoint endpoint, ILogger logger)
{
    private const string AccountItem = "account";
    private const string HopItem = "hop";

    /// <summary>The tenant that was let in.</summary>
    public static TenantAccount AccountOf(HttpContext context) => (TenantAccount)context.Items[AccountItem]!;

    /// <summary>The ticket another worker was let in with; null for a client.</summary>
    public static HopTicket? HopOf(HttpContext context) => context.Items[HopItem] as HopTicket;

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        StringValues values = context.Request.Headers[WorkerMethods.TokenKey];
        string shown = values.Count == 1 ? values[0] ?? "" : "";
        HopTicket? hop = null;
        TenantAccount? account = shown.StartsWith(WorkerMethods.HopScheme, StringComparison.Ordinal)
            ? HopTicket.TryParse(shown[WorkerMethods.HopScheme.Length..], out hop) ? endpoint.AccountOf(hop!) : null
            : endpoint.Accounts.Authenticate(shown.StartsWith(WorkerMethods.TokenScheme, StringComparison.Ordinal) ? shown[WorkerMethods.TokenScheme.Length..] : null);
        ConnectionAdmission.Ticket? ticket = context.Features.Get<MigratableConnection>()?.Ticket;
        if (account is null)
        {
            endpoint.Metrics.WrongToken();
            WorkerLog.WrongToken(logger, context.Connection.RemoteIpAddress?.ToString() ?? "?");
            ticket?.CountWrongToken();
            return Refuse(context, StatusCode.Unauthenticated, "a valid token is needed");
        }

        if (ticket?.Admit(account) is { } problem)
        {
            return Refuse(context, StatusCode.ResourceExhausted, problem);
        }

        context.Items[AccountItem] = account;
        context.Items[HopItem] = hop;
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
