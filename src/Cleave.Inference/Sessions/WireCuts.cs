using Cleave.Protocol;

namespace Cleave.Inference.Sessions;

/// <summary>Where activations cross a wire within the middle, and how they are encoded there.</summary>
/// <param name="Wire">Encoding.</param>
/// <param name="Layers">Layers before which it happens.</param>
public sealed record WireCuts(WireType Wire, IReadOnlyList<int> Layers);
