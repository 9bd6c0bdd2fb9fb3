namespace Cleave.Cli.Running;

/// <summary>A conversation as it lies on disk: plain text.</summary>
/// <param name="Version">Of this format: 1.</param>
/// <param name="Model">File name of the model it was held with.</param>
/// <param name="Seed">Seed of the answers, so that one cut off comes out the same again.</param>
/// <param name="Turns">What was said; an answer that was cut off is not there.</param>
internal sealed record StoredChat(int Version, string Model, ulong Seed, IReadOnlyList<ChatTurn> Turns)
{
    /// <summary>The version written.</summary>
    public const int CurrentVersion = 1;
}
