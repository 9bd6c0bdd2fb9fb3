namespace Cleave.Gateway.OpenAi;

/// <summary>A request refused, in the terms of OpenAI's error object.</summary>
/// <param name="status">HTTP status.</param>
/// <param name="message">What is wrong and what to do.</param>
/// <param name="param">The parameter at fault, or null.</param>
/// <param name="code">A stable code, or null.</param>
/// <param name="type">Kind of error.</param>
internal sealed class ApiException(int status, string message, string? param = null, string? code = null, string type = "invalid_request_error")
    : Exception(message)
{
    /// <summary>HTTP status.</summary>
    public int Status { get; } = status;

    /// <summary>The error object.</summary>
    public ApiError Error { get; } = new(message, type, param, code);

    /// <summary>When to try again, or null.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>400: a parameter has a value that cannot be.</summary>
    public static ApiException Invalid(string param, string message) => new(400, message, param, "invalid_value");

    /// <summary>400: a parameter that is known, and not supported.</summary>
    public static ApiException Unsupported(string param, string message) => new(400, message, param, "unsupported_parameter");
}
