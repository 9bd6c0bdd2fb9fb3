using Cleave.Compute;
using Cleave.Models;

namespace Cleave.Engine;

/// <summary>
/// Mixture of experts (Shazeer et al. 2017, arXiv 1701.06538; Mixtral, arXiv 2401.04088): a softmax over router scores, the
/// best k experts per token, their outputs added in ascending expert order, so that a token's sum never depends on which
/// other tokens share the step.
/// </summary>
internal sealed class ExpertFeedForward : FeedForward
{
    private readonly ModelConfig _config;
    private readonly Projection _router;
    private readonly DenseFeedForward[] _experts;

    public ExpertFeedForward(IComputeDevice device, IModelSource source, int layer)
    {
        _config = source.Config;
        _experts = new DenseFeedForward[_config.Experts];
        try
        {
            _router = new Projection(device, [WeightCheck.Finite(source.Path, source.Layer(layer, LayerTensor.Router)!)], [null]);
            for (int expert = 0; expert < _experts.Length; expert++)
            {
                _experts[expert] = new DenseFeedForward(
                    device, _config, source.Path,
                    source.Expert(layer, expert, LayerTensor.Gate), source.Expert(layer, expert, LayerTensor.Up), source.Expert(layer, expert, LayerTensor.Down));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override void Run(IComputeDevice device, DeviceTensor x, DeviceTensor y, int rows, LayerScratch scratch)
    {
        // 1. Router scores, on the host: a few numbers per row.
        ExpertScratch work = scratch.Experts!;
        _router.Run(device, x, work.Router, rows);
        Span<float> scores = work.Scores.AsSpan(0, rows * _config.Experts);
        device.Download(work.Router, rows, scores);

        // 2. The best k of each row and their weights.
        for (int row = 0; row < rows; row++)
        {
            ExpertRouting.Choose(
                scores.Slice(row * _config.Experts, _config.Experts), _config.NormalizeExpertWeights,
                work.Chosen.AsSpan(row * _config.ExpertsPerToken, _config.ExpertsPerToken),
                work.Weights.AsSpan(row * _config.ExpertsPerToken, _config.ExpertsPerToken));
        }

        // 3. Experts in ascending order, each over the rows that chose it.
        device.Clear(y, rows);
        for (int expert = 0; expert < _experts.Length; expert++)
        {
            int count = 0;
            for (int row = 0; row < rows; row++)
            {
                int rank = work.Chosen.AsSpan(row * _config.ExpertsPerToken, _config.ExpertsPerToken).IndexOf(expert);
                if (rank >= 0)
                {
                    work.RowIndices[count] = row;
                    work.RowScales[count++] = work.Weights[(row * _config.ExpertsPerToken) + rank];
                }
            }

            if (count > 0)
            {
                device.CopyRows(x, work.RowIndices.AsSpan(0, count), work.Input);
                _experts[expert].Run(device, work.Input, work.Output, count, scratch);
                device.ScatterAddRows(work.Output, work.RowIndices.AsSpan(0, count), work.RowScales.AsSpan(0, count), y);
            }
        }
    }

    public override void Dispose()
    {
        // What is missing was not loaded: the constructor failed.
        _router?.Dispose();
        foreach (DenseFeedForward? expert in _experts)
        {
            expert?.Dispose();
        }
    }
}
