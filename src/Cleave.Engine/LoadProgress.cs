namespace Cleave.Engine;

/// <summary>How far a model has been loaded.</summary>
/// <param name="Layers">Layers loaded.</param>
/// <param name="TotalLayers">Layers to load.</param>
public readonly record struct LoadProgress(int Layers, int TotalLayers);
