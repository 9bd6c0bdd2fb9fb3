using Cleave.Compute;
using Cleave.Models;
using Cleave.PrivacyLab.Learning;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>A model's public embedding, to look predicted embeddings up in.</summary>
public sealed class EmbeddingTable : IDisposable
{
    private readonly MatrixProduct _product;
    private readonly DeviceWeight _embedding;
    private readonly float[] _values;
    private readonly float[] _halfSquares;
    private readonly int _width;

    /// <param name="product">Where to multiply.</param>
    /// <param name="source">A model file with its embedding.</param>
    public EmbeddingTable(MatrixProduct product, IModelSource source)
    {
        _product = product;
        _width = source.Config.HiddenSize;
        _embedding = product.Device.LoadWeight([source.End(EndTensor.Embedding)]);
        _values = DenseWeights.Read(product.Device, _embedding);
        _halfSquares = new float[_embedding.Outputs];
        for (int id = 0; id < _halfSquares.Length; id++)
        {
            double sum = 0;
            foreach (float value in Of(id))
            {
                sum += (double)value * value;
            }

            _halfSquares[id] = (float)(sum / 2);
        }
    }

    /// <summary>Tokens.</summary>
    public int Count => _halfSquares.Length;

    /// <summary>Numbers per embedding.</summary>
    public int Width => _width;

    /// <summary>Median length (L2) of an embedding.</summary>
    public double MedianNorm => Math.Sqrt(2 * _halfSquares.Order().ElementAt(Count / 2));

    /// <summary>A token's embedding.</summary>
    public ReadOnlySpan<float> Of(int token) => _values.AsSpan(token * _width, _width);

    /// <summary>
    /// Nearness of predicted embeddings [rows, width] to every token: x·e − |e|²/2, which orders tokens as the distance does.
    /// Calls <paramref name="use"/> with each row's scores.
    /// </summary>
    public void Score(ReadOnlySpan<float> predicted, Action<int, float[]> use)
    {
        const int Chunk = 256;
        int rows = predicted.Length / _width;
        var scores = new float[Math.Min(rows, Chunk) * Count];
        var row = new float[Count];
        for (int start = 0; start < rows; start += Chunk)
        {
            int count = Math.Min(Chunk, rows - start);
            _product.Multiply(predicted.Slice(start * _width, count * _width), _embedding, scores.AsSpan(0, count * Count));
            for (int i = 0; i < count; i++)
            {
                for (int token = 0; token < row.Length; token++)
                {
                    row[token] = scores[(i * Count) + token] - _halfSquares[token];
                }

                use(start + i, row);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose() => _embedding.Dispose();
}
