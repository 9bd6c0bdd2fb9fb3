using System.Text.Json;
using Cleave.Gateway.Hosting;
using Cleave.Gateway.Telemetry;
using Cleave.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Cleave.Gateway.OpenAi;

/// <summary>Turns every failure into OpenAI's error object, whatever it came from, and empty error responses too.</summary>
internal sealed class ErrorShape(WorkerWatch worker, ILogger<ErrorShape> logger) : IMiddleware
{
    /// <inheritdoc />
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
            {
                await WriteAsync(context, Bare(context));
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            context.Response.StatusCode = 499; // the client went away: nobody reads this but the log
        }
        catch (Exception exception)
        {
            if (exception is WireException wire)
            {
                worker.Report(wire);
            }

            ApiException? failure = ApiFailures.From(exception);
            if (failure is null)
            {
                logger.RequestFailed(exception, context.TraceIdentifier);
            }

            if (!context.Response.HasStarted)
            {
                await WriteAsync(context, failure ?? new ApiException(500, "the server failed; its log says more", code: "internal_error", type: "server_error"));
            }
        }
    }

    private async Task WriteAsync(HttpContext context, ApiException failure)
    {
        logger.RequestRefused(context.TraceIdentifier, failure.Status, failure.Error.Code);
        HttpResponse response = context.Response;
        response.StatusCode = failure.Status;
        response.ContentType = "application/json; charset=utf-8";
        if (failure.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString();
        }

        await JsonSerializer.SerializeAsync(response.Body, new ApiErrorBody(failure.Error), ApiJson.Default.ApiErrorBody, context.RequestAborted);
    }

    /// <summary>Errors of the framework that come without a body.</summary>
    private static ApiException Bare(HttpContext context) => context.Response.StatusCode switch
    {
        404 => Routes.Unknown(context.Request),
        405 => new ApiException(405, $"Not allowed to {context.Request.Method} on {context.Request.Path}", code: "method_not_allowed"),
        415 => new ApiException(415, "the request body must be JSON, with 'Content-Type: application/json'", code: "unsupported_media_type"),
        var status => new ApiException(status, $"the request failed with status {status}"),
    };
}
