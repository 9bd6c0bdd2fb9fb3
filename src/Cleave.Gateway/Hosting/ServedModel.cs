using System.Security.Cryptography;
using System.Text;
using Cleave.Gateway.Conversations;
using Cleave.Gateway.Grammar;
using Cleave.Tokenization;

namespace Cleave.Gateway.Hosting;

/// <summary>The model a process serves: its backend, its sessions, its grammars.</summary>
internal sealed class ServedModel : IAsyncDisposable
{
    private readonly ConversationPool? _kept;

    public ServedModel(GatewayBackend backend, GatewayOptions options, TimeProvider time)
    {
        Backend = backend;
        Name = options.ModelName ?? backend.ModelName;
        CreatedAt = time.GetUtcNow();
        Grammars = new JsonGrammars(backend.Model.Tokenizer);
        ChatPrompts = new ChatPrompts(backend.Model.Tokenizer);
        TimeSpan idle = TimeSpan.FromSeconds(backend.Worker?.Limits.IdleSeconds ?? 0);
        Pool = new ConversationPool(backend.OpenAsync, Math.Min(options.MaxConversations, backend.MaxConversations), options.MaxWaitingRequests, idle, time);
        if (backend is { KeepLocal: not null, OpenLocalAsync: { } openLocal })
        {
            _kept = new ConversationPool(openLocal, Math.Min(options.MaxConversations, backend.MaxConversations), options.MaxWaitingRequests, TimeSpan.Zero, time);
        }

        Fingerprint = "fp_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(
            '\n', [backend.ModelName, backend.Model.Device.Fingerprint, backend.Worker?.KernelFingerprint, backend.Wire.ToString(), .. backend.Worker?.LayerHashes ?? []]))))[..12];
    }

    /// <summary>What answers.</summary>
    public GatewayBackend Backend { get; }

    /// <summary>The name the API knows the model by.</summary>
    public string Name { get; }

    /// <summary>When serving began.</summary>
    public DateTimeOffset CreatedAt { get; }

    /// <summary>Sessions.</summary>
    public ConversationPool Pool { get; }

    /// <summary>
    /// Where a prompt is answered: over the split, or by sessions of this machine alone when it matches a rule. The two never share a session.
    /// </summary>
    public ConversationPool PoolFor(ReadOnlySpan<int> prompt) =>
        _kept is not null && Backend.KeepLocal!.Reason(Tokenizer.Decode(prompt.ToArray(), showControl: false)) is not null ? _kept : Pool;

    /// <summary>Conversations as prompts.</summary>
    public ChatPrompts ChatPrompts { get; }

    /// <summary>Grammars of structured answers.</summary>
    public JsonGrammars Grammars { get; }

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer => Backend.Model.Tokenizer;

    /// <summary>Changes when answers to the same seed may: other weights, other kernels, another wire type.</summary>
    public string Fingerprint { get; }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await Pool.DisposeAsync();
        if (_kept is not null)
        {
            await _kept.DisposeAsync();
        }
    }
}
