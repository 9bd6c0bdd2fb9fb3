using Cleave.PrivacyLab.Statistics;

namespace Cleave.PrivacyLab.Study;

/// <summary>What is left of a model, text by text.</summary>
/// <param name="Agreed">Positions whose likeliest token is still the same.</param>
/// <param name="Losses">Nats of each text.</param>
public sealed record KeptQuality(IReadOnlyList<DocumentTally> Agreed, IReadOnlyList<double> Losses)
{
    /// <summary>Share of positions whose likeliest token is still the same.</summary>
    public RateInterval Agreement => ClusterBootstrap.Rate(Agreed);

    /// <summary>exp of the mean loss.</summary>
    public RateInterval Perplexity
    {
        get
        {
            RateInterval loss = ClusterBootstrap.Ratio([.. Agreed.Zip(Losses, static (text, loss) => (loss, (double)text.Total))]);
            return new RateInterval(Math.Exp(loss.Rate), Math.Exp(loss.Low), Math.Exp(loss.High));
        }
    }
}
