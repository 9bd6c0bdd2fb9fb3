namespace Cleave.Gateway.OpenAi;

/// <summary>Token counts.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptDetails PromptTokensDetails);

/// <summary>Prompt tokens a session still held, which were not sent again.</summary>
internal sealed record PromptDetails(int CachedTokens);
