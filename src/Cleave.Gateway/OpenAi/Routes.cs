using System.Text.Json;
using Cleave.Gateway.Hosting;
using Cleave.Gateway.Telemetry;
using Cleave.Protocol;
using Cleave.Protocol.Codec;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Cleave.Gateway.OpenAi;

/// <summary>The API's routes.</summary>
internal static class Routes
{
    /// <summary>Maps them.</summary>
    public static void MapOpenAi(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/chat/completions", ChatAsync);
        routes.MapPost("/v1/completions", CompletionAsync);
        routes.MapGet("/v1/models", Models);
        routes.MapGet("/v1/models/{**id}", Model);
        routes.MapGet("/health", Health);
        routes.MapGet("/cleave/status", Status);
    }

    /// <summary>404: no such route. Routes of OpenAI's that are not served are named as such.</summary>
    public static ApiException Unknown(HttpRequest request) => new(
        404,
        $"Invalid URL ({request.Method} {request.Path}): this server answers POST /v1/chat/completions, POST /v1/completions, GET /v1/models, GET /health and GET /metrics",
        code: "unknown_url");

    private static async Task ChatAsync(HttpContext http, ServedModel model, GatewayMeter meter, WorkerWatch worker, TimeProvider time)
    {
        using JsonDocument body = await ReadAsync(http);
        var fields = ChatFields.Read(body.RootElement, model.Tokenizer, model.Grammars);
        CheckModel(model, fields.Model);
        var shape = new ChatShape(model, NewId("chatcmpl-"), time.GetUtcNow().ToUnixTimeSeconds(), fields.TopLogProbabilities is not null);
        int[] prompt = model.ChatPrompts.Encode(fields.Messages);
        using var run = new CompletionRun(model, meter, worker, fields.Common, shape, http);
        await run.RunAsync([prompt], fields.MaxTokens, fields.TopLogProbabilities, fields.Grammar);
    }

    private static async Task CompletionAsync(HttpContext http, ServedModel model, GatewayMeter meter, WorkerWatch worker, TimeProvider time)
    {
        using JsonDocument body = await ReadAsync(http);
        var fields = CompletionFields.Read(body.RootElement, model.Tokenizer);
        CheckModel(model, fields.Model);
        List<string>? echoes = fields.Echoes is null ? null : [.. fields.Echoes.SelectMany(echo => Enumerable.Repeat(echo, fields.Common.Choices))];
        var shape = new TextShape(model, NewId("cmpl-"), time.GetUtcNow().ToUnixTimeSeconds(), fields.TopLogProbabilities is not null, echoes);
        using var run = new CompletionRun(model, meter, worker, fields.Common, shape, http);
        await run.RunAsync(fields.Prompts, fields.MaxTokens, fields.TopLogProbabilities, null);
    }

    private static async Task<JsonDocument> ReadAsync(HttpContext http)
    {
        // A form or plain text is what a page of another site can send without asking first.
        if (!http.Request.HasJsonContentType())
        {
            throw new ApiException(415, "the request body must be JSON, with 'Content-Type: application/json'", code: "unsupported_media_type");
        }

        try
        {
            return await JsonDocument.ParseAsync(http.Request.Body, default, http.RequestAborted);
        }
        catch (JsonException exception)
        {
            throw new ApiException(400, $"We could not parse the JSON body of your request: line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}", code: "invalid_json");
        }
    }

    private static void CheckModel(ServedModel model, string asked)
    {
        if (asked != model.Name)
        {
            throw new ApiException(404, $"The model '{asked}' does not exist; this server has '{model.Name}'", "model", "model_not_found");
        }
    }

    private static IResult Models(ServedModel model) => Results.Json(new ModelList("list", [Entry(model)]), ApiJson.Default.ModelList);

    private static IResult Model(string id, ServedModel model)
    {
        CheckModel(model, id);
        return Results.Json(Entry(model), ApiJson.Default.ModelEntry);
    }

    private static ModelEntry Entry(ServedModel model) => new(model.Name, "model", model.CreatedAt.ToUnixTimeSeconds(), "cleave");

    private static IResult Health(WorkerWatch worker) => worker.Problem is { } problem
        ? Results.Json(new HealthReport("degraded", problem), ApiJson.Default.HealthReport, statusCode: 503)
        : Results.Json(new HealthReport("ok"), ApiJson.Default.HealthReport);

    private static IResult Status(ServedModel model, WorkerWatch worker)
    {
        GatewayBackend backend = model.Backend;
        return Results.Json(
            new StatusReport
            {
                Model = model.Name,
                Layers = backend.Model.Config.Layers,
                HiddenSize = backend.Model.Config.HiddenSize,
                ContextTokens = backend.ContextTokens,
                Head = backend.Cut?.Head,
                Tail = backend.Cut?.Tail,
                Worker = backend.WorkerAddress,
                Wire = backend.Cut is null ? null : WireName(backend.Wire),
                RowBytes = backend.Cut is null ? null : ActivationCodec.RowBytes(backend.Wire, backend.Model.Config.HiddenSize),
                Decoder = backend.Decoder,
                RttMs = model.Pool.RttMs,
                PrivacyVerdict = backend.PrivacyVerdict,
                WorkerState = worker.Problem is null ? "ok" : "lost",
                Conversations = model.Pool.Counts.Open,
                Waiting = model.Pool.Counts.Waiting,
            },
            ApiJson.Default.StatusReport);
    }

    private static string WireName(WireType wire) => wire.ToString().ToLowerInvariant();

    private static string NewId(string prefix) => prefix + Guid.NewGuid().ToString("N");
}
