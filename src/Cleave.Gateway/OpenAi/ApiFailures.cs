using Cleave.Gateway.Conversations;
using Cleave.Gateway.Grammar;
using Cleave.Inference;
using Cleave.Protocol;
using Cleave.Tokenization.ChatTemplates;
using Microsoft.AspNetCore.Http;

namespace Cleave.Gateway.OpenAi;

/// <summary>Failures from below, as OpenAI clients understand them.</summary>
internal static class ApiFailures
{
    /// <summary>The error to answer with; null for what is nobody's expected failure.</summary>
    public static ApiException? From(Exception exception) => exception switch
    {
        ApiException api => api,
        GatewayBusyException busy => new ApiException(429, busy.Message, code: "rate_limit_exceeded", type: "requests") { RetryAfter = TimeSpan.FromSeconds(1) },
        GrammarException grammar => ApiException.Invalid("response_format", grammar.Message),
        ChatTemplateException template => new ApiException(400, template.Message, "messages", "invalid_conversation"),
        InferenceException inference => new ApiException(400, inference.Message),
        WireException { Error: { Code: WireErrorCode.Busy or WireErrorCode.QuotaExceeded } error } => new ApiException(
            503, $"the worker has no room: {error.Message}", code: "worker_busy", type: "server_error")
        { RetryAfter = TimeSpan.FromMilliseconds(Math.Max(error.RetryAfterMs, 1000)) },
        WireException wire => new ApiException(
            503, $"the worker cannot be used: {wire.Error.Message}", code: "worker_unavailable", type: "server_error")
        { RetryAfter = TimeSpan.FromSeconds(2) },
        ObjectDisposedException => new ApiException(503, "the gateway is shutting down", code: "shutting_down", type: "server_error"),
        BadHttpRequestException { StatusCode: 413 } => new ApiException(413, "the request body is too large; the limit is a setting of the gateway (MaxRequestBytes)", code: "request_too_large"),
        BadHttpRequestException bad => new ApiException(bad.StatusCode, bad.Message),
        _ => null,
    };
}
