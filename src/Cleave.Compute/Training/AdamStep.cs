namespace Cleave.Compute.Training;

/// <summary>What an update of AdamW multiplies with: w = keep · w - rate · m / (√(correction · v) + epsilon).</summary>
/// <param name="Rate">Learning rate over the first moment's correction.</param>
/// <param name="Correction">The second moment's correction.</param>
/// <param name="Keep">What weight decay leaves of a weight; biases are not decayed.</param>
public readonly record struct AdamStep(float Rate, float Correction, float Keep);
