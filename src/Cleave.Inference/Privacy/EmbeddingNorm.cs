using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Inference.Privacy;

/// <summary>How long a model's embeddings are: what a clip norm is chosen by.</summary>
public static class EmbeddingNorm
{
    // A vocabulary's median needs no more.
    private const int Samples = 4096;

    /// <summary>Median length (L2) of the embeddings as the first layer gets them.</summary>
    public static double Median(IComputeDevice device, IModelSource source)
    {
        using DeviceWeight embedding = device.LoadEmbedding(source.End(EndTensor.Embedding));
        int count = Math.Min(Samples, embedding.Outputs);
        int[] ids = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * embedding.Outputs / count))];
        using DeviceTensor gathered = device.Allocate(count, embedding.Inputs);
        device.Gather(embedding, ids, source.Config.EmbeddingScale, gathered);
        var values = new float[count * embedding.Inputs];
        device.Download(gathered, count, values);
        double[] norms = [.. values.Chunk(embedding.Inputs).Select(static row => Math.Sqrt(row.Sum(static value => (double)value * value))).Order()];
        return norms[count / 2];
    }
}
