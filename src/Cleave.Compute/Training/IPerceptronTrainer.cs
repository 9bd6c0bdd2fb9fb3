namespace Cleave.Compute.Training;

/// <summary>Trains and runs perceptrons: rectifiers between the layers, scores before a softmax after the last.</summary>
public interface IPerceptronTrainer : IDisposable
{
    /// <summary>
    /// Trains layers in place with cross entropy. Every epoch goes over all rows in an order drawn by <paramref name="random"/>, so equal
    /// arguments give equal layers on one device, however many threads it has.
    /// </summary>
    /// <param name="layers">First weights, replaced by the trained ones.</param>
    /// <param name="rows">What to learn from.</param>
    /// <param name="options">How.</param>
    /// <param name="random">Draws the orders.</param>
    void Train(IReadOnlyList<DenseLayer> layers, LabelledRows rows, AdamOptions options, Random random);

    /// <summary>Scores of x: [rows, inputs], as it is: [rows, classes].</summary>
    void Score(IReadOnlyList<DenseLayer> layers, ReadOnlySpan<float> x, Span<float> scores);
}
