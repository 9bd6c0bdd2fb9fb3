using Cleave.PrivacyLab.Statistics;
using Cleave.PrivacyLab.Study;

namespace Cleave.PrivacyLab.Tests;

/// <summary>Intervals against known values, and the properties they are chosen for.</summary>
public sealed class StatisticsTests
{
    // Wilson 1927; values from R's binom.confint(method = "wilson").
    [Theory]
    [InlineData(0, 20, 0, 0.161125)]
    [InlineData(10, 20, 0.299298, 0.700702)]
    [InlineData(20, 20, 0.838875, 1)]
    [InlineData(81, 263, 0.255289, 0.366215)]
    public void WilsonIntervalsAreTheKnownOnes(int hits, int total, double low, double high)
    {
        RateInterval interval = WilsonInterval.Rate(hits, total);
        Assert.Equal(low, interval.Low, 4);
        Assert.Equal(high, interval.High, 4);
    }

    [Fact]
    public void RowsOfOneDocumentAreNoIndependentEvidence()
    {
        // 40 documents, each all right or all wrong: the rows are 4000, the evidence is 40.
        DocumentTally[] clustered = [.. Enumerable.Range(0, 40).Select(static i => new DocumentTally(i % 2 == 0 ? 100 : 0, 100))];
        RateInterval byDocument = ClusterBootstrap.Rate(clustered);
        RateInterval byRow = WilsonInterval.Rate(2000, 4000);

        Assert.Equal(0.5, byDocument.Rate);
        Assert.True(byDocument.High - byDocument.Low > 5 * (byRow.High - byRow.Low), $"{byDocument} {byRow}");
        Assert.Equal(byDocument, ClusterBootstrap.Rate(clustered));
    }

    [Fact]
    public void UtilityWeighsTextsByTheirTokens()
    {
        // Three positions at ln 2 nats and one at ln 32: (3 ln 2 + 5 ln 2) / 4 = ln 4.
        var utility = new KeptQuality([new DocumentTally(3, 3), new DocumentTally(0, 1)], [3 * Math.Log(2), Math.Log(32)]);
        Assert.Equal(0.75, utility.Agreement.Rate, 12);
        Assert.Equal(4, utility.Perplexity.Rate, 9);
        Assert.Equal((2, 32), (Math.Round(utility.Perplexity.Low, 6), Math.Round(utility.Perplexity.High, 6)));
    }

    [Fact]
    public void AnIntervalOfSimulatedDocumentsHoldsTheTruthAboutAsOftenAsItSays()
    {
        var random = new Random(5);
        int held = 0;
        for (int trial = 0; trial < 200; trial++)
        {
            DocumentTally[] documents = new DocumentTally[60];
            for (int i = 0; i < documents.Length; i++)
            {
                double rate = 0.3 + (0.4 * random.NextDouble()); // 0.5 on average, and the same within a document
                documents[i] = new DocumentTally(Enumerable.Range(0, 50).Count(_ => random.NextDouble() < rate), 50);
            }

            RateInterval interval = ClusterBootstrap.Rate(documents, trial);
            held += interval.Low <= 0.5 && 0.5 <= interval.High ? 1 : 0;
        }

        Assert.InRange(held, 178, 199);
    }
}
