using Microsoft.Extensions.Logging;

namespace Cleave.Gateway.Telemetry;

/// <summary>Everything a gateway logs. Prompts, answers, token ids and activations have no log method.</summary>
internal static partial class GatewayLog
{
    [LoggerMessage(1, LogLevel.Information, "Serving {Model} at {Address}")]
    public static partial void Serving(this ILogger logger, string model, string address);

    [LoggerMessage(2, LogLevel.Warning, "Serving plain HTTP at {Address}: prompts, answers and the API key cross that network readable; use TlsCertificate or a TLS proxy")]
    public static partial void PlainHttp(this ILogger logger, string address);

    [LoggerMessage(3, LogLevel.Warning, "The worker is lost: {Reason}. Trying again in the background")]
    public static partial void WorkerLost(this ILogger logger, string reason);

    [LoggerMessage(4, LogLevel.Information, "The worker is back")]
    public static partial void WorkerBack(this ILogger logger);

    [LoggerMessage(5, LogLevel.Error, "Request {TraceId} failed")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string traceId);

    [LoggerMessage(6, LogLevel.Debug, "Request {TraceId} refused with {Status}: {Code}")]
    public static partial void RequestRefused(this ILogger logger, string traceId, int status, string? code);
}
